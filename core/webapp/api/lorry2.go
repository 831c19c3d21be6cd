package api

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
)

// The routes of Lorry 2, whose clients find here what they read there: names
// and shapes are those of its documentation.

// HealthCheck answers GET /1.0/health-check.
func (a *API) HealthCheck(*exchange.Request) (exchange.Answer, error) {
	return exchange.JSON(protocol.Health{Status: "ok", Version: a.info.Version}), nil
}

// Gauges answers GET /1.0/metrics with the four gauges of Lorry 2. The
// controller's own figures are at /metrics.
func (a *API) Gauges(r *exchange.Request) (exchange.Answer, error) {
	status, err := a.queue.Status(r.Context())
	if err != nil {
		return nil, err
	}
	o, err := a.queue.Outcomes(r.Context())
	if err != nil {
		return nil, err
	}
	var text strings.Builder
	for _, g := range []struct {
		name, help string
		value      int
	}{
		{"lorry2_total_lorries", "Number of Lorries.", status.Counts.Lorries},
		{"lorry2_total_lorries_degraded", "Number of Lorries of which some refs or objects could not be mirrored.", o.Degraded},
		{"lorry2_total_lorries_errors", "Number of Lorries whose last run failed.", o.Errors},
		{"lorry2_total_lorries_successful", "Number of Lorries whose last run succeeded.", o.OK},
	} {
		fmt.Fprintf(&text, "# HELP %s %s\n# TYPE %s gauge\n%s %d\n", g.name, g.help, g.name, g.name, g.value)
	}
	return exchange.Func(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write([]byte(text.String())) // the client may be gone
	}), nil
}

// listPage is how many Lorries of a whole list are in memory at a time.
const listPage = 500

// ListLorries answers GET /1.0/list-lorries: all Lorries in the order of their
// paths, written page by page.
func (a *API) ListLorries(r *exchange.Request) (exchange.Answer, error) {
	f := queue.LorryFilter{Sort: queue.SortPath, Limit: listPage, WithText: true, Now: a.clock()}
	first, err := a.queue.FindLorries(r.Context(), f)
	if err != nil {
		return nil, err
	}
	return exchange.Func(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodHead {
			return
		}
		if err := a.writeLorries(r.Context(), w, f, first); err != nil {
			// Half a list must not look like a whole one.
			a.log.Warn("the list of Lorries was cut off", "error", err)
			panic(http.ErrAbortHandler)
		}
	}), nil
}

func (a *API) writeLorries(ctx context.Context, w http.ResponseWriter, f queue.LorryFilter, page queue.LorryList) error {
	control := http.NewResponseController(w)
	separator := "["
	for {
		_ = control.SetWriteDeadline(time.Now().Add(time.Minute)) // FastCGI has none
		for _, l := range page.Lorries {
			text, err := json.Marshal(lorry2(l))
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(w, "%s%s", separator, text); err != nil {
				return err
			}
			separator = ",\n"
		}
		if page.Next == nil {
			break
		}
		f.After = page.Next
		var err error
		if page, err = a.queue.FindLorries(ctx, f); err != nil {
			return err
		}
	}
	if separator == "[" {
		_, err := w.Write([]byte("[]\n"))
		return err
	}
	_, err := w.Write([]byte("]\n"))
	return err
}

// lorry2 shows a Lorry as Lorry 2 does.
func lorry2(l core.LorryState) protocol.Lorry2 {
	name := cmp.Or(l.HostPath, l.Path) // one that was handed to a host has no name there yet
	if prefix, ofFiles := strings.CutPrefix(l.Section, "lorries:"); ofFiles {
		name = strings.TrimPrefix(strings.TrimPrefix(l.Path, prefix), "/")
	}
	info := protocol.Lorry2{
		Path: l.Path, Name: name, Spec: lorry2Spec(l.Text), LastRun: unixTime(l.LastRun),
		Interval: isoDuration(l.Interval), LorryTimeout: isoDuration(l.Timeout), LastRunOutput: l.LastFailure.Cause,
	}
	if l.RunningJob != 0 {
		id := l.RunningJob
		info.RunningJob = &id
	}
	if !l.LastRun.IsZero() {
		exit, err := strconv.Atoi(l.LastExit)
		if err != nil || exit == 0 && l.LastFailure.Failed() {
			exit = 1 // lost, or ended well but not good
		}
		info.LastRunResults = &protocol.Lorry2Results{Finished: protocol.Lorry2Finished{ExitCode: exit, DiskUsage: l.DiskUsage}}
	}
	return info
}

// lorry2Spec reads the specification's text, an object of one member.
func lorry2Spec(text string) protocol.Lorry2Spec {
	type loose struct {
		Type     string          `json:"type"`
		URL      string          `json:"url"`
		Check    json.RawMessage `json:"check-certificates"`
		Refspecs json.RawMessage `json:"refspecs"`
		Patterns json.RawMessage `json:"ref_patterns"`
	}
	spec := protocol.Lorry2Spec{CheckCertificates: true}
	var entries map[string]loose
	if json.Unmarshal([]byte(text), &entries) != nil {
		return spec
	}
	for _, e := range entries {
		spec.Type, spec.URL = e.Type, e.URL
		switch strings.Trim(strings.ToLower(string(e.Check)), `"`) {
		case "false", "no", "off", "0":
			spec.CheckCertificates = false
		}
		for _, raw := range []json.RawMessage{e.Refspecs, e.Patterns} {
			if spec.Refspecs == nil && raw != nil && json.Unmarshal(raw, &spec.Refspecs) != nil {
				spec.Refspecs = nil
			}
		}
	}
	return spec
}

// isoDuration writes a duration in ISO 8601, in hours at most.
func isoDuration(d time.Duration) string {
	seconds := int64(max(d, 0) / time.Second)
	text := "PT"
	for _, unit := range []struct {
		size int64
		name string
	}{{3600, "H"}, {60, "M"}, {1, "S"}} {
		if n := seconds / unit.size; n > 0 {
			text += strconv.FormatInt(n, 10) + unit.name
			seconds %= unit.size
		}
	}
	if text == "PT" {
		return "PT0S"
	}
	return text
}
