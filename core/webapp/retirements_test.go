package webapp_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/retire"
	"github.com/lorry-controller/lorry-controller/core/webapp"
)

// retirements are some in memory, in the order of their paths.
type retirements struct{ list []retire.Listed }

func someRetirements() *retirements {
	at := time.Unix(1_790_000_000, 0)
	return &retirements{list: []retire.Listed{
		{Retirement: retire.Retirement{Path: "old/a", Attempts: 3, Next: at, Error: "it is a mirror; ask the host's admin"}, State: retire.Failing},
		{Retirement: retire.Retirement{Path: "old/done", Attempts: 1, Done: at, Next: at}, State: retire.Archived},
		{Retirement: retire.Retirement{Path: "old/new"}, State: retire.Waiting},
	}}
}

func (r *retirements) FindRetirements(_ context.Context, s retire.Search) ([]retire.Listed, error) {
	var found []retire.Listed
	for _, one := range r.list {
		if (s.Path == "" || one.Path == s.Path) && (s.State == "" || one.State == s.State) && one.Path > s.After && one.Attempts >= s.Attempts {
			found = append(found, one)
		}
	}
	return found[:min(len(found), s.Limit)], nil
}

func (r *retirements) steer(path string, state retire.State) error {
	for i := range r.list {
		switch one := &r.list[i]; {
		case one.Path != path:
		case one.State == retire.Archived:
			return core.Errorf(core.KindConflict, "the repository %q is archived already", path)
		default:
			one.State = state
			return nil
		}
	}
	return core.Errorf(core.KindNotFound, "no repository is to be archived at %q", path)
}

func (r *retirements) HastenRetirement(_ context.Context, path string) error {
	return r.steer(path, retire.Waiting)
}

func (r *retirements) CancelRetirement(_ context.Context, path string) error {
	return r.steer(path, retire.Cancelled)
}

func TestRetirementsAreListedAndSteered(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *webapp.Options) { o.Retirements = someRetirements() })
	const a = `{"path":"old/a","state":"failing","attempts":3,"next":1790000000,"error":"it is a mirror; ask the host's admin","archived":0}`
	const done = `{"path":"old/done","state":"archived","attempts":1,"next":0,"error":"","archived":1790000000}`
	s.get(t, "/1.0/retirements?state=failing").want(t, 200, `{"retirements":[`+a+`],"next":""}`)
	var page protocol.Retirements
	if err := json.Unmarshal([]byte(s.get(t, "/1.0/retirements?limit=1").body), &page); err != nil || len(page.Retirements) != 1 || page.Next == "" {
		t.Fatalf("%+v, %v", page, err)
	}
	s.get(t, "/1.0/retirements?limit=1&cursor="+page.Next).want(t, 200, `{"retirements":[`+done+`],"next":"`)
	s.get(t, "/1.0/retirements?path=old/done").want(t, 200, `[`+done+`]`)
	s.get(t, "/1.0/retirements?state=x").want(t, 400, "waiting, failing, archived, cancelled, returning")
	s.get(t, "/1.0/retirements?cursor=x").want(t, 400, "cursor")

	s.post(t, "/1.0/retirements/cancel", "path=old/a").want(t, 200, "The repository old/a stays as it is")
	s.get(t, "/1.0/retirements?path=old/a").want(t, 200, `"state":"cancelled"`)
	s.post(t, "/1.0/retirements/retry", "path=old/a").want(t, 200, "The repository old/a is archived as soon as")
	s.get(t, "/1.0/retirements?path=old/a").want(t, 200, `"state":"waiting"`)
	s.post(t, "/1.0/retirements/cancel", "path=old/done").want(t, 409, "is archived already")
	s.post(t, "/1.0/retirements/retry", "path=none").want(t, 404, "no repository is to be archived")
	s.post(t, "/1.0/retirements/retry", "").want(t, 400, "path")
}

func TestAControllerThatRetiresNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.get(t, "/1.0/retirements").want(t, 200, `{"retirements":[],"next":""}`)
	s.post(t, "/1.0/retirements/cancel", "path=a").want(t, 404, "no repository is to be archived")
}

// endings are adapters whose credentials end at these times.
type endings []time.Time

func (e endings) Adapters() []protocol.Adapter {
	var list []protocol.Adapter
	for i, at := range e {
		name := "downstream"
		if i > 0 {
			name = fmt.Sprint("forge", i)
		}
		one := protocol.Adapter{Name: name}
		if !at.IsZero() {
			one.ExpiresAt = at.Unix()
		} else {
			one.Doubts = []protocol.Doubt{{Setting: "typo", Text: "not known"}}
		}
		list = append(list, one)
	}
	return list
}

func (endings) RestartAdapter(context.Context, string) error { return nil }

// TestProblemsHaveThoseOfHosts: settings that are ignored, credentials that end,
// with the days that are left, and repositories that can't be archived, behind those of CONFGIT.
func TestProblemsHaveThoseOfHosts(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	s := newSite(t, func(o *webapp.Options) {
		now := o.Clock()
		o.Info.Adapters = endings{now.Add(12*day + time.Hour), {}, now.Add(31 * day), now.Add(day), now.Add(time.Hour), now.Add(-time.Hour)}
		o.Retirements = someRetirements()
	})
	s.queue.SetProblems(core.Problem{File: "a.lorry", Line: 1, Message: "odd", Severity: core.SeverityNotice})
	var got protocol.Problems
	if err := json.Unmarshal([]byte(s.get(t, "/1.0/problems").body), &got); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, p := range got.Problems {
		lines = append(lines, strings.TrimSpace(p.Severity+" "+p.File+p.Host+" "+p.Key+": "+p.Message))
		if p.Host != "" && p.Hint == "" {
			t.Errorf("%q does not say what to do", p.Message)
		}
	}
	if diff := cmp.Diff([]string{
		"notice a.lorry : odd",
		"error forge5 credentials: the credentials for this host stopped working on 2026-03-01",
		"warning downstream credentials: the credentials for this host stop working on 2026-03-13, in 12 days",
		"warning forge1 typo: not known",
		"warning forge3 credentials: the credentials for this host stop working on 2026-03-02, in 1 day",
		"warning forge4 credentials: the credentials for this host stop working on 2026-03-01, in less than a day",
		`warning downstream retire: the repository "old/a" can't be archived, though it was tried 3 times since its Lorry went away: it is a mirror; ask the host's admin`,
	}, lines); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}
