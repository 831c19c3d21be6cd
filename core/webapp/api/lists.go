package api

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
)

const (
	// usualPage is how long a page is when the client does not say.
	usualPage = 100
	longest   = 10_000
	// shownGroups is how many groups of failures are told.
	shownGroups = 100
)

// LorryStates are the values of the field state for Lorries, LorrySorts those
// of sort; "-" before one of these turns the order round.
func LorryStates() []string {
	return []string{
		queue.StateRunning, queue.StateDue, queue.StateWaiting, queue.StateHeld, queue.StateFailing, queue.StateOK, queue.StateNew, queue.StateRemoved,
	}
}

// LorrySorts are the orders in which Lorries are listed.
func LorrySorts() []string {
	return []string{
		queue.SortQueue, queue.SortPath, queue.SortHost, queue.SortKind, queue.SortLastRun, queue.SortLastSuccess, queue.SortFailures, queue.SortDiskUsage,
	}
}

// JobStates are the values of the field state for jobs.
func JobStates() []string {
	return []string{
		queue.StateRunning, queue.StateStopping, queue.StateEnded, queue.StateSucceeded, queue.StateFailed, queue.StateLost, queue.StateReturned,
	}
}

// JobSorts are the orders in which jobs are listed.
func JobSorts() []string { return []string{"newest", "oldest"} }

// choice reads a field that has one of a few values, or none.
func choice(r *exchange.Request, field string, values []string) (string, error) {
	text := strings.TrimSpace(r.Form.Get(field))
	if text == "" || slices.Contains(values, text) {
		return text, nil
	}
	return "", badField(field, text, "it is one of "+strings.Join(values, ", "))
}

func badField(field, text, hint string) error {
	return &core.Error{Kind: core.KindInvalid, Fact: fmt.Sprintf("field %q can't be %q", field, core.Clip(text, mostQuoted)), Hint: hint}
}

// mostQuoted is how much of a value is repeated, in characters.
const mostQuoted = 60

// limitOf reads the field limit; usual stands for a missing one.
func limitOf(r *exchange.Request, usual int) (int, error) {
	if r.Form.Get("limit") == "" {
		return usual, nil
	}
	limit, err := r.Form.Int("limit")
	if err != nil {
		return 0, err
	}
	if limit < 1 || limit > longest {
		return 0, badField("limit", strconv.FormatInt(limit, 10), fmt.Sprintf("it is a number from 1 to %d; the field cursor leads to the next page", longest))
	}
	return int(limit), nil
}

// ageOf reads a field that is an age in seconds, and gives that time.
func (a *API) ageOf(r *exchange.Request, field string) (time.Time, error) {
	if r.Form.Get(field) == "" {
		return time.Time{}, nil
	}
	age, err := r.Form.Int(field)
	if err != nil {
		return time.Time{}, err
	}
	const century = 100 * 366 * 86400
	if age < 0 || age > century {
		return time.Time{}, badField(field, r.Form.Get(field), "it is an age in seconds, such as 86400")
	}
	return a.clock().Add(-time.Duration(age) * time.Second), nil
}

// cursor is what a client gets to go on from: a place, and the order that it is
// a place in.
type cursor struct {
	Sort string `json:"s,omitempty"`
	queue.Cursor
}

func cursorText(sort string, at *queue.Cursor) string {
	if at == nil {
		return ""
	}
	text, err := json.Marshal(cursor{sort, *at})
	if err != nil {
		return "" // texts and numbers can always be encoded
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

func cursorOf(r *exchange.Request, sort string) (*queue.Cursor, error) {
	text := strings.TrimSpace(r.Form.Get("cursor"))
	if text == "" {
		return nil, nil //nolint:nilnil // no cursor is the first page
	}
	const hint = "send what \"next\" was in the answer before, with the same sort"
	var c cursor
	plain, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || json.Unmarshal(plain, &c) != nil || c.Path == "" {
		return nil, badField("cursor", text, hint)
	}
	if c.Sort != sort {
		return nil, &core.Error{Kind: core.KindInvalid, Fact: fmt.Sprintf("field \"cursor\" is of the order %q, not of %q", core.Clip(c.Sort, mostQuoted), sort), Hint: hint}
	}
	return &c.Cursor, nil
}

// LorryFilterOf reads the fields state, host, kind, text, older, sort, cursor
// and limit.
func (a *API) LorryFilterOf(r *exchange.Request, usual int) (queue.LorryFilter, error) {
	f, err := a.selection(r)
	if err != nil {
		return f, err
	}
	if f.State, err = choice(r, "state", LorryStates()); err != nil {
		return f, err
	}
	sort := strings.TrimSpace(r.Form.Get("sort"))
	f.Sort, f.Reverse = strings.CutPrefix(sort, "-")
	if f.Sort == "" {
		f.Sort = queue.SortQueue
	}
	if !slices.Contains(LorrySorts(), f.Sort) {
		return f, badField("sort", sort, "it is one of "+strings.Join(LorrySorts(), ", ")+"; with - before it the order is turned round")
	}
	if f.After, err = cursorOf(r, sortText(f)); err != nil {
		return f, err
	}
	f.Limit, err = limitOf(r, usual)
	return f, err
}

func sortText(f queue.LorryFilter) string {
	if f.Reverse {
		return "-" + f.Sort
	}
	return f.Sort
}

// selection reads the fields that select a group of Lorries: host, kind, text
// and older.
func (a *API) selection(r *exchange.Request) (f queue.LorryFilter, err error) {
	f = queue.LorryFilter{
		Host: strings.TrimSpace(r.Form.First("host", "trovehost")), Text: r.Form.Get("text"), Now: a.clock(),
		Kind: core.FailureKind(strings.TrimSpace(r.Form.Get("kind"))),
	}
	f.Stale, err = a.ageOf(r, "older")
	return f, err
}

// Lorries answers GET /1.0/lorries.
func (a *API) Lorries(r *exchange.Request) (exchange.Answer, error) {
	f, err := a.LorryFilterOf(r, usualPage)
	if err != nil {
		return nil, err
	}
	list, err := a.queue.FindLorries(r.Context(), f)
	if err != nil {
		return nil, err
	}
	return exchange.JSON(protocol.Lorries{Lorries: lorryList(list.Lorries, f.Now), Next: cursorText(sortText(f), list.Next)}), nil
}

// NextPage is the cursor behind a page that FindLorries gave, or "".
func NextPage(f queue.LorryFilter, list queue.LorryList) string {
	return cursorText(sortText(f), list.Next)
}

// asks reports whether a request has any of the fields.
func asks(r *exchange.Request, fields ...string) bool {
	return slices.ContainsFunc(fields, func(field string) bool { return r.Form.Get(field) != "" })
}

// ListQueue answers GET /1.0/list-queue: the whole queue, as the original did,
// or a page of what the fields select.
func (a *API) ListQueue(r *exchange.Request) (exchange.Answer, error) {
	if asks(r, "state", "host", "kind", "text", "older", "sort", "cursor") {
		f, err := a.LorryFilterOf(r, usualPage)
		if err != nil {
			return nil, err
		}
		list, err := a.queue.FindLorries(r.Context(), f)
		if err != nil {
			return nil, err
		}
		return exchange.JSON(protocol.QueuePaths{Queue: paths(list.Lorries), Next: cursorText(sortText(f), list.Next)}), nil
	}
	page, err := pageOf(r)
	if err != nil {
		return nil, err
	}
	list, err := a.queue.QueuePaths(r.Context(), page)
	if err != nil {
		return nil, err
	}
	return exchange.JSON(protocol.QueuePaths{Queue: append([]string{}, list...)}), nil
}

func paths(lorries []core.LorryState) []string {
	list := make([]string, 0, len(lorries))
	for _, l := range lorries {
		list = append(list, l.Path)
	}
	return list
}

// Failures answers GET /1.0/failures: what fails, in groups that can be retried
// at once.
func (a *API) Failures(r *exchange.Request) (exchange.Answer, error) {
	groups, err := a.FailureGroups(r, shownGroups)
	if err != nil {
		return nil, err
	}
	return exchange.JSON(protocol.Failures{Groups: groups}), nil
}

// FailureGroups gives the biggest groups of failing Lorries.
func (a *API) FailureGroups(r *exchange.Request, limit int) ([]protocol.FailureGroup, error) {
	groups, err := a.queue.FailureGroups(r.Context(), limit)
	if err != nil {
		return nil, err
	}
	list := make([]protocol.FailureGroup, 0, len(groups))
	for _, g := range groups {
		list = append(list, protocol.FailureGroup(g))
	}
	return list, nil
}
