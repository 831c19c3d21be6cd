package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/lorry-controller/lorry-controller/core"
)

func source() Source {
	now := time.Unix(10_000, 0)
	return Source{
		Version: "1.2.3", Clock: func() time.Time { return now },
		Queue: func(context.Context) (Queue, error) {
			return Queue{Running: true, Lorries: 7, Jobs: 2, Due: 3, Failing: 1}, nil
		},
		Hosts: func(context.Context) ([]core.HostState, error) {
			return []core.HostState{{Name: "forge", Listed: 5, LsLast: now.Add(-time.Minute), Purge: "held"}, {Name: "new"}}, nil
		},
		Mirrors: func(context.Context) (Mirrors, error) {
			return Mirrors{
				Within: []int{2, 2, 3, 5, 5, 5}, Equal: 6, Never: 1, Sum: 30 * time.Hour, Worst: 25 * time.Hour, DiskUsage: 1000, Overdue: time.Minute,
			}, nil
		},
		Minions: func(context.Context) (map[string]int, error) { return map[string]int{"active": 3}, nil },
		Ping:    func(context.Context) error { return nil },
		Problems: func(context.Context) ([]core.Problem, error) {
			return []core.Problem{{Severity: core.SeverityError}}, nil
		},
		Adapters: func() []Adapter {
			return []Adapter{{Name: "forge", Type: "gitlab", State: "broken", Version: "1", Starts: 5, Faults: 5, HeldUntil: now.Add(30 * time.Second), ExpiresAt: now.Add(time.Hour)}}
		},
	}
}

func scrape(t *testing.T, m *Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	text, err := io.ReadAll(w.Result().Body)
	if err != nil || w.Code != 200 {
		t.Fatalf("status %d, %v: %s", w.Code, err, text)
	}
	return string(text)
}

func TestAScrapeTellsHowTheCoreIs(t *testing.T) {
	t.Parallel()
	m := New(source())
	began := time.Unix(9000, 0)
	m.JobsEnded([]core.Job{
		{Exit: "0", Unchanged: true, Started: began, Ended: began.Add(2 * time.Second), OutputSize: 5},
		{Exit: "0", Started: began, Ended: began.Add(2 * time.Hour), OutputSize: 7},
		{Exit: "1", Failure: core.Failure{Kind: core.FailGone}},
		{Exit: "1", Failure: core.Failure{Kind: "what a minion made up"}},
		{Exit: "returned"},
	})
	m.StateDB("claim", 3*time.Millisecond)
	m.Webhook("gitlab", "matched")
	m.Notification("mail", "sent")
	m.AdapterCalled("forge", "gitlab", "repo", "ok", 20*time.Millisecond)
	m.AdapterCalled("forge", "gitlab", "repo", "held", -1)
	m.AdapterCalled("forge", "gitlab", "repo", "what an adapter made up", 2*time.Second)
	m.AdapterHeld("forge", "gitlab", core.KindRateLimited)
	m.AdapterCalled("left", "gitea", "list", "ok", time.Second)
	m.AdapterHeld("left", "gitea", core.KindUnauthenticated)
	m.AdapterGone("left")
	m.ConfigRead(nil, time.Unix(9000, 0))
	m.ConfigRead(errors.New("no"), time.Unix(9500, 0))
	text := scrape(t, m)
	for _, want := range []string{
		`lorry_build_info{version="1.2.3"} 1`, `lorry_lorries{state="known"} 7`, `lorry_lorries{state="due"} 3`,
		`lorry_jobs_running 2`, `lorry_queue_running 1`, `lorry_config_problems{severity="error"} 1`,
		`lorry_host_repositories{host="forge"} 5`, `lorry_host_list_age_seconds{host="forge"} 60`, `lorry_host_purge_held{host="forge"} 1`,
		`lorry_adapter_up{host="forge",type="gitlab"} 0`, `lorry_adapter_faults{host="forge",type="gitlab"} 5`,
		`lorry_adapter_hold_seconds{host="forge",type="gitlab"} 30`, `lorry_adapter_credentials_end_seconds{host="forge",type="gitlab"} 3600`,
		`lorry_jobs_total{result="other"} 1`, `lorry_jobs_total{result="returned"} 1`, `lorry_job_output_bytes_total 12`,
		`lorry_job_duration_seconds_bucket{result="unchanged",le="5"} 1`, `lorry_job_duration_seconds_sum{result="ok"} 7200`,
		`lorry_statedb_operation_seconds_bucket{operation="claim",le="0.005"} 1`, `lorry_webhooks_total{forge="gitlab",result="matched"} 1`,
		`lorry_adapter_requests_total{host="forge",result="ok",rpc="repo",type="gitlab"} 1`,
		`lorry_adapter_requests_total{host="forge",result="held",rpc="repo",type="gitlab"} 1`,
		`lorry_adapter_requests_total{host="forge",result="internal",rpc="repo",type="gitlab"} 1`,
		`lorry_adapter_request_duration_seconds_bucket{rpc="repo",type="gitlab",le="0.05"} 1`,
		`lorry_adapter_request_duration_seconds_count{rpc="repo",type="gitlab"} 2`,
		`lorry_adapter_holds_total{host="forge",kind="rate-limited",type="gitlab"} 1`,
		`lorry_notifications_total{result="sent",target="mail"} 1`, `lorry_config_last_read_successful 0`,
		`lorry_mirror_staleness_seconds_bucket{le="3600"} 2`, `lorry_mirror_staleness_seconds_bucket{le="+Inf"} 6`,
		`lorry_mirror_staleness_worst_seconds 90000`, `lorry_mirrors_never_equal 1`, `lorry_working_area_bytes 1000`,
		`lorry_queue_overdue_seconds 60`, `lorry_minions{state="active"} 3`, `lorry_minions{state="silent"} 0`, `lorry_statedb_up 1`,
		`lorry_jobs_total{result="ok"} 1`, `lorry_jobs_total{result="unchanged"} 1`, `lorry_jobs_total{result="gone"} 1`,
		`lorry_config_reads_total{result="failed"} 1`, `lorry_config_last_success_timestamp_seconds 9000`, `lorry_scrape_errors 0`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("the scrape lacks %s", want)
		}
	}
	for _, never := range []string{`lorry_host_list_age_seconds{host="new"}`, "lorry_queue_max_jobs"} {
		if strings.Contains(text, never+" ") || strings.Contains(text, `host="left"`) {
			t.Errorf("the scrape tells %s, which is not known", never)
		}
	}
}

func TestAScrapeGoesOnWithoutOneSource(t *testing.T) {
	t.Parallel()
	s := source()
	s.Queue = func(context.Context) (Queue, error) { return Queue{}, errors.New("the database is away") }
	text := scrape(t, New(s))
	if !strings.Contains(text, "lorry_scrape_errors 1\n") || !strings.Contains(text, `lorry_host_repositories{host="forge"} 5`) {
		t.Errorf("want one error and the rest told, got:\n%s", text)
	}
}

func TestNamesFollowTheRules(t *testing.T) {
	t.Parallel()
	problems, err := testutil.GatherAndLint(New(source()).registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// By default the number of series must not grow with the number of Lorries or
// with what minions and forges send.
func TestSeriesAreBounded(t *testing.T) {
	t.Parallel()
	count := func(per bool) int {
		s := source()
		if per {
			s.Lorries = func(_ context.Context, tell func(core.LorryState)) error {
				for i := range 100 {
					tell(core.LorryState{Lorry: core.Lorry{Path: fmt.Sprint(i)}, LastEqual: time.Unix(1, 0)})
				}
				return nil
			}
		}
		m := New(s)
		for i := range 5000 {
			m.JobsEnded([]core.Job{{Path: fmt.Sprint(i), Exit: "1", Failure: core.Failure{Kind: core.FailureKind(fmt.Sprint(i))}}})
			for _, kind := range kinds() {
				m.JobsEnded([]core.Job{{Exit: "1", Failure: core.Failure{Kind: kind}}})
			}
		}
		series := 0
		for line := range strings.Lines(scrape(t, m)) {
			if strings.HasPrefix(line, "lorry_") {
				series++
			}
		}
		return series
	}
	plain := count(false)
	if plain > 300 {
		t.Errorf("%d series with one host and one adapter", plain)
	}
	if more := count(true) - plain; more != 300 {
		t.Errorf("100 Lorries have %d series, want 300", more)
	}
}
