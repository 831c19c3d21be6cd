package importv1

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/statedb"
)

// queue takes over the switch and max-jobs; either table may be empty.
func (s *source) queue(ctx context.Context, into statedb.Import) error {
	running := true
	var limit *int
	if s.tables["running_queue"]["running"] {
		if err := s.read(ctx, "running_queue", "", [][]string{{"running"}}, func(v []any) error {
			running = number(v[0]) != 0
			return nil
		}); err != nil {
			return err
		}
	}
	if s.tables["max_jobs"]["max_jobs"] {
		if err := s.read(ctx, "max_jobs", "", [][]string{{"max_jobs"}}, func(v []any) error {
			if v[0] != nil {
				n := int(number(v[0]))
				limit = &n
			}
			return nil
		}); err != nil {
			return err
		}
	}
	if err := into.Switch(ctx, running, limit); err != nil {
		return err
	}
	if !s.tables["next_job_id"]["job_id"] {
		return nil
	}
	return s.read(ctx, "next_job_id", "", [][]string{{"job_id"}}, func(v []any) error {
		return into.NumbersAbove(ctx, core.JobID(max(number(v[0])-1, 0)))
	})
}

func (s *source) hosts(ctx context.Context, into statedb.Import, r *Report) error {
	for _, table := range []string{"hosts", "troves"} {
		if s.tables[table] == nil {
			continue
		}
		err := s.read(ctx, table, "", [][]string{
			{"host", "trovehost"}, {"type"}, {"protocol"}, {"lorry_interval"}, {"lorry_timeout"}, {"ls_interval"}, {"ls_last_run"},
		}, func(v []any) error {
			h := core.HostState{
				Name: text(v[0]), Type: text(v[1]), Protocol: text(v[2]),
				Interval: seconds(v[3]), Timeout: seconds(v[4]), LsInterval: seconds(v[5]), LsLast: moment(v[6]),
			}
			if h.Name == "" {
				r.Notes = append(r.Notes, fmt.Sprintf("a row of table %q has no host name", table))
				return nil
			}
			if h.Type == "" {
				h.Type = "trove" // all were, when the column was not there
			}
			added, err := into.Host(ctx, h)
			if added {
				r.Hosts++
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// jobs takes over the history and gives the last success of each Lorry.
func (s *source) jobs(ctx context.Context, into statedb.Import, r *Report) (map[string]time.Time, error) {
	successes := map[string]time.Time{}
	var some []statedb.Job
	flush := func() error {
		n, err := into.Jobs(ctx, some)
		r.Jobs += n
		some = some[:0]
		return err
	}
	err := s.read(ctx, "jobs", "job_id", [][]string{
		{"job_id"}, {"host"}, {"pid"}, {"started"}, {"ended"}, {"updated"}, {"path"}, {"exit"}, {"disk_usage"}, {"output"},
	}, func(v []any) error {
		j := statedb.Job{Job: core.Job{
			ID: core.JobID(number(v[0])), Minion: text(v[1]), PID: int(number(v[2])), Started: moment(v[3]), Ended: moment(v[4]),
			Updated: moment(v[5]), Path: text(v[6]), Exit: text(v[7]), DiskUsage: number(v[8]),
		}, Output: text(v[9])}
		if j.ID <= 0 || j.Path == "" {
			r.Notes = append(r.Notes, fmt.Sprintf("job %d of %q was left out", j.ID, j.Path))
			return nil
		}
		if clean := password.ReplaceAllString(j.Output, "$1"); clean != j.Output {
			j.Output = clean
			r.Passwords++
		}
		if j.Exit == "" || j.Exit == "no" {
			j.Exit, j.Failure = "lost", core.Failure{Kind: core.FailLost, Cause: "it was running when the state database was imported"}
			r.Interrupted++
		} else {
			j.Failure = failure(j.Exit)
		}
		if j.Ended.IsZero() {
			j.Ended = into.Now()
		}
		if j.Exit == "0" && j.Ended.After(successes[j.Path]) {
			successes[j.Path] = j.Ended
		}
		if some = append(some, j); len(some) < batch {
			return nil
		}
		return flush()
	})
	if err != nil {
		return nil, err
	}
	return successes, flush()
}

func (s *source) lorries(ctx context.Context, into statedb.Import, successes map[string]time.Time, r *Report) error {
	var some []core.LorryState
	flush := func() error {
		n, err := into.Lorries(ctx, some)
		r.Lorries += n
		some = some[:0]
		return err
	}
	err := s.read(ctx, "lorries", "path", [][]string{
		{"path"},
		{"text"},
		{"from_host", "from_trovehost"},
		{"from_path"},
		{"last_run"},
		{"interval"},
		{"lorry_timeout"},
		{"disk_usage"},
		{"last_run_exit"},
	}, func(v []any) error {
		l := core.LorryState{
			Lorry: core.Lorry{
				Path: text(v[0]), Text: text(v[1]), Host: text(v[2]), HostPath: text(v[3]), Section: "lorries:imported",
				Interval: seconds(v[5]), Timeout: seconds(v[6]),
			},
			LastRun: moment(v[4]), DiskUsage: number(v[7]), LastExit: text(v[8]),
		}
		if l.Path == "" {
			r.Notes = append(r.Notes, "a Lorry without a path was left out")
			return nil
		}
		if l.Host != "" {
			l.Section = "host:" + l.Host
		}
		if !isNumber(v[5]) {
			l.Interval = core.DefaultInterval
		}
		if l.Timeout == 0 {
			l.Timeout = core.DefaultTimeout
		}
		describe(&l, r)
		if l.LastExit != "" && l.LastExit != "0" {
			l.Failures, l.LastFailure = 1, failure(l.LastExit)
		}
		l.LastSuccess = successes[l.Path]
		// As the original had it: the last run and the interval. A move to the top
		// left a last run before 1970.
		l.Due = l.LastRun.Add(l.Interval)
		if l.LastRun.IsZero() {
			l.Due = into.Now()
		}
		if some = append(some, l); len(some) < batch {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}

// password finds who a URL of the web logs in as. A token may stand where the
// user's name does, so both go.
var password = regexp.MustCompile(`(https?://)[^/@\s"']+@`)

// failure is what an exit of the original says.
func failure(exit string) core.Failure {
	if exit == "0" {
		return core.Failure{}
	}
	return core.Failure{Kind: core.FailOther, Cause: fmt.Sprintf("lorry ended with %q", exit)}
}

// describe leaves passwords out of a Lorry's text and finds its upstream host.
func describe(l *core.LorryState, r *Report) {
	if clean := password.ReplaceAllString(l.Text, "$1"); clean != l.Text {
		l.Text = clean
		r.Passwords++
	}
	var specs map[string]struct {
		URL string `json:"url"`
	}
	if err := json.Unmarshal([]byte(l.Text), &specs); err != nil {
		r.Notes = append(r.Notes, fmt.Sprintf("the text of Lorry %q is not JSON", l.Path))
		return
	}
	if u, err := url.Parse(specs[l.Path].URL); err == nil {
		l.UpstreamHost = u.Hostname()
	}
}

// The old file says nothing binding about types: a column may hold anything.

func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case []byte:
		return valid(string(v))
	case string:
		return valid(v)
	}
	return fmt.Sprint(v)
}

func valid(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

func number(v any) int64 {
	switch v := v.(type) {
	case int64:
		return v
	case float64:
		return int64(v)
	case bool:
		if v {
			return 1
		}
		return 0
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(text(v)), 64)
	if err != nil {
		return 0
	}
	return int64(n)
}

// isNumber reports whether a column without a type holds a number.
func isNumber(v any) bool {
	if v == nil {
		return false
	}
	_, err := strconv.ParseFloat(strings.TrimSpace(text(v)), 64)
	return err == nil
}

func seconds(v any) time.Duration {
	return time.Duration(min(max(number(v), 0), int64(100*365*24*time.Hour/time.Second))) * time.Second
}

// moment is a time in seconds since 1970; 0 and what is before mean never.
func moment(v any) time.Time {
	n := number(v)
	if n <= 0 || n > 1<<40 {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}
