package metrics

import (
	"context"
	"errors"
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
		Problems: func(context.Context) ([]core.Problem, error) {
			return []core.Problem{{Severity: core.SeverityError}}, nil
		},
		Adapters: func() []Adapter {
			return []Adapter{{Name: "forge", Type: "gitlab", State: "broken", Version: "1", Starts: 5, Faults: 5, HeldUntil: now.Add(30 * time.Second)}}
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
	m.JobEnded(core.FailNone, true)
	m.JobEnded(core.FailNone, false)
	m.JobEnded(core.FailGone, false)
	m.ConfigRead(nil, time.Unix(9000, 0))
	m.ConfigRead(errors.New("no"), time.Unix(9500, 0))
	text := scrape(t, m)
	for _, want := range []string{
		`lorry_build_info{version="1.2.3"} 1`, `lorry_lorries{state="known"} 7`, `lorry_lorries{state="due"} 3`,
		`lorry_jobs_running 2`, `lorry_queue_running 1`, `lorry_config_problems{severity="error"} 1`,
		`lorry_host_repositories{host="forge"} 5`, `lorry_host_list_age_seconds{host="forge"} 60`, `lorry_host_purge_held{host="forge"} 1`,
		`lorry_adapter_up{host="forge",type="gitlab"} 0`, `lorry_adapter_faults{host="forge",type="gitlab"} 5`,
		`lorry_adapter_hold_seconds{host="forge",type="gitlab"} 30`,
		`lorry_jobs_total{result="ok"} 1`, `lorry_jobs_total{result="unchanged"} 1`, `lorry_jobs_total{result="gone"} 1`,
		`lorry_config_reads_total{result="failed"} 1`, `lorry_config_last_success_timestamp_seconds 9000`, `lorry_scrape_errors 0`,
	} {
		if !strings.Contains(text, want+"\n") {
			t.Errorf("the scrape lacks %s", want)
		}
	}
	for _, never := range []string{`lorry_host_list_age_seconds{host="new"}`, "lorry_queue_max_jobs"} {
		if strings.Contains(text, never+" ") {
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
