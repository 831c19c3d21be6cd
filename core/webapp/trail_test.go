package webapp_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/audit"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/schedule"
	"github.com/lorry-controller/lorry-controller/core/token"
	"github.com/lorry-controller/lorry-controller/core/webapp"
	"github.com/lorry-controller/lorry-controller/core/webapp/minions"
)

// newest gives the last row of the audit; its Seq is 0 when there is none.
func (s *secured) newest(t *testing.T) audit.Entry {
	t.Helper()
	rows, err := s.db.AuditBefore(t.Context(), 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) == 0 {
		return audit.Entry{}
	}
	return rows[0]
}

func TestEachCallThatChangesSomethingLeavesOneRow(t *testing.T) {
	t.Parallel()
	s := newSecured(t)
	made, admin := s.make(t, token.Admin, time.Time{})
	for _, route := range webapp.Routes() {
		if route.Effect != webapp.Write {
			continue
		}
		before := s.newest(t).Seq
		s.call(t, route.Method, concrete(route.Path), admin)
		row := s.newest(t)
		if row.Seq != before+1 || row.Action != route.Method+" "+route.Path || row.Who != made.Label() || row.From != "127.0.0.1" || row.Result == "" {
			t.Errorf("%s %s left %+v behind row %d", route.Method, route.Path, row, before)
		}
	}
	before := s.newest(t).Seq
	for _, route := range webapp.Routes() {
		if route.Effect != webapp.Write {
			s.call(t, route.Method, concrete(route.Path), admin)
		}
	}
	if after := s.newest(t).Seq; after != before {
		t.Errorf("routes that change nothing left %d rows", after-before)
	}
	// Who does not get in leaves none either: the log has him.
	_, viewer := s.make(t, token.Viewer, time.Time{})
	s.clock.Add(2 * time.Second)
	for _, bearer := range []string{"", "wrong", viewer} {
		s.call(t, "POST", "/1.0/stop-queue", bearer)
	}
	if after := s.newest(t).Seq; after != before {
		t.Errorf("refused calls left %d rows", after-before)
	}
	ends, err := s.db.AuditEnds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	read := func(after int64, limit int) ([]audit.Entry, error) { return s.db.AuditAfter(t.Context(), after, limit) }
	if _, err := audit.Verify(ends, nil, read); err != nil {
		t.Error(err)
	}
}

func TestARowSaysWhatWasChangedAndNoSecret(t *testing.T) {
	t.Parallel()
	s := newSecured(t)
	s.queue.Put(foo())
	type row struct{ Subject, Was, Became, Result string }
	for _, test := range []struct {
		path, body string
		want       row
	}{
		{"/1.0/stop-queue", "dummy=s3cr3t", row{"", "running_queue=true max_jobs=none lorries=1 held=0 failing=0", "running_queue=false max_jobs=none lorries=1 held=0 failing=0", "ok"}},
		{"/1.0/set-max-jobs", "max_jobs=7", row{"max_jobs=7", "running_queue=false max_jobs=none lorries=1 held=0 failing=0", "running_queue=false max_jobs=7 lorries=1 held=0 failing=0", "ok"}},
		{
			"/1.0/hold", "path=upstream/foo&reason=" + url.QueryEscape("see https://me:s3cr3t@example.com/x lorry_abc_s3cr3t\n"),
			row{"path=upstream/foo reason=see https://***@example.com/x ***\ufffd", "due=never position=0 failures=0 held=", "due=never position=0 failures=0 held=see https://***@example.com/x ***\ufffd", "ok"},
		},
		{"/1.0/hold", "path=nowhere", row{"path=nowhere", "(not-found)", "(not-found)", "not-found"}},
		{"/1.0/stop-job", "job_id=9", row{"job_id=9", "(not-found)", "(not-found)", "not-found"}},
	} {
		s.post(t, test.path, test.body)
		e := s.newest(t)
		if diff := cmp.Diff(test.want, row{e.Subject, e.Was, e.Became, e.Result}); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", test.path, test.body, diff)
		}
		if e.Who != "loopback" {
			t.Errorf("%s: who is %q", test.path, e.Who)
		}
	}
	if got := s.send(t, "POST", "/1.0/start-queue", "", "", "X-Forwarded-For", "192.0.2.1, 192.0.2.2"); got.status != http.StatusUnauthorized {
		t.Errorf("through a proxy without a token: %d", got.status)
	}
	_, admin := s.make(t, token.Admin, time.Time{})
	s.clock.Add(2 * time.Second)
	s.call(t, "POST", "/1.0/start-queue", admin, "X-Forwarded-For", "192.0.2.1, 192.0.2.2")
	if e := s.newest(t); e.From != "192.0.2.2 through 127.0.0.1" {
		t.Errorf("through a proxy: from %q", e.From)
	}
}

// TestGETChangesNothing crawls every GET route over a real STATEDB and compares
// its files.
func TestGETChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSecured(t)
	run := queue.New(queue.Options{Store: s.db, Clock: time.Now, Log: hclog.NewNullLogger(), Rand: func() float64 { return 0 }, GhostTimeout: time.Minute, Backoff: schedule.Rules{}})
	real := newSite(t, func(o *webapp.Options) {
		o.Queue, o.Tokens, o.Audit, o.Clock = tidyRun{run}, s.db, s.db, time.Now
	})
	if err := s.db.PutLorries(t.Context(), []core.Lorry{foo().Lorry, lorryAt("b").Lorry}); err != nil {
		t.Fatal(err)
	}
	if _, err := run.Claim(t.Context(), queue.ClaimParams{Minion: "m", Max: 1}); err != nil {
		t.Fatal(err)
	}
	_, admin := s.make(t, token.Admin, time.Time{})
	with := &secured{real, s.db, s.file}
	with.call(t, "GET", "/1.0/status", admin) // its use is recorded once an hour
	before := digest(t, s)
	crawled := 0
	for _, route := range webapp.Routes() {
		if route.Method != http.MethodGet || route.Effect != webapp.Read {
			continue
		}
		for _, path := range []string{concrete(route.Path), strings.Replace(concrete(route.Path), "/x", "/upstream/foo", 1)} {
			with.call(t, "GET", path, admin)
			with.call(t, "HEAD", path, admin)
			with.call(t, "GET", path, "")
			crawled++
		}
	}
	if after := digest(t, s); after != before || crawled < 40 {
		t.Errorf("%d GET requests changed the STATEDB", crawled)
	}
	with.call(t, "POST", "/1.0/stop-queue", admin)
	if digest(t, s) == before {
		t.Error("a change was not seen either: the test can't fail")
	}
}

// tidyRun is the run queue with a rule for old jobs, as the daemon has it.
type tidyRun struct{ *realQueue }

// realQueue is another name, since a field named Queue would hide the method.
type realQueue = queue.Queue

func (q tidyRun) RemoveOldJobs(ctx context.Context) (int, error) {
	return q.realQueue.RemoveOldJobs(ctx, queue.Retention{})
}

// digest is that of the STATEDB's files.
func digest(t *testing.T, s *secured) string {
	t.Helper()
	h := sha256.New()
	for _, file := range []string{s.file, s.file + "-wal"} {
		f, err := os.Open(filepath.Clean(file))
		if err != nil {
			t.Fatal(err)
		}
		n, err := io.Copy(h, f)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(h, n)
		f.Close()
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

func TestAMinionReportsOnItsOwnJobsAlone(t *testing.T) {
	t.Parallel()
	s := newSecured(t)
	s.queue.Put(lorryAt("a"), lorryAt("b"))
	_, one := s.make(t, token.Minion, time.Time{})
	_, other := s.make(t, token.Minion, time.Time{})
	minion := func(text string) *protocol.Client {
		return &protocol.Client{Base: s.URL, HTTP: s.client, Token: core.NewSecret(text)}
	}
	job, err := minion(one).GiveMeJob(t.Context(), protocol.GiveMeJob{Host: "m"})
	if err != nil || job.JobID == nil {
		t.Fatal(job, err)
	}
	steal := []protocol.Update{{JobID: *job.JobID, Fence: job.Fence, Exit: "0", Stdout: "stolen"}}
	answers, err := minion(other).Update(t.Context(), steal)
	if diff := cmp.Diff([]protocol.UpdateAnswer{{JobID: *job.JobID, Kill: true, Stale: true}}, answers); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	kept, err := s.queue.Job(t.Context(), *job.JobID)
	if err != nil || kept.Exit != "" || kept.OutputSize != 0 || !strings.HasPrefix(kept.Minion, "m (minion-") {
		t.Errorf("job is %+v, %v", kept, err)
	}
	steal[0].Stdout = "mine"
	answers, err = minion(one).Update(t.Context(), steal)
	if diff := cmp.Diff([]protocol.UpdateAnswer{{JobID: *job.JobID}}, answers); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, path := range []string{"/1.0/job/1", "/1.0/status", "/1.0/problems", "/1.0/hosts", "/1.0/audit", "/1.0/tokens"} {
		if status, _ := s.call(t, "GET", path, one); status != http.StatusForbidden {
			t.Errorf("a minion reads %s: %d", path, status)
		}
	}
}

func TestAMinionWithoutATokenIsToldWhyItGetsNoCredentials(t *testing.T) {
	t.Parallel()
	s := newSecured(t)
	s.queue.Put(lorryAt("a"))
	s.preparer.OnPrepare = withSecret
	_, text := s.make(t, token.Minion, time.Time{})
	ask := func(headers ...string) protocol.Job {
		t.Helper()
		got := s.send(t, "POST", "/1.0/give-me-job", form, "host=m&pid=1&version=2", append(headers, "Authorization", "Bearer "+text)...)
		return decoded[protocol.Job](t, got)
	}
	job := ask("X-Forwarded-For", "192.0.2.1")
	if job.Push != nil || !strings.Contains(job.Withheld, "https://") {
		t.Errorf("over a plain connection: %+v", job)
	}
	s.queue.Put(lorryAt("b"))
	job = ask("X-Forwarded-For", "192.0.2.1", "X-Forwarded-Proto", "https")
	if job.Push == nil || job.Push.Secret != "s3cret" || job.Withheld != "" {
		t.Errorf("through a proxy with TLS: %v, %q", job.Push != nil, job.Withheld)
	}
}

func withSecret(_ context.Context, l core.LorryState) (minions.Prepared, error) {
	return minions.Prepared{Push: core.Access{URL: "https://git.example.com/" + l.Path, Secret: core.NewSecret("s3cret")}}, nil
}

func decoded[T any](t *testing.T, a answer) T {
	t.Helper()
	var value T
	if err := json.Unmarshal([]byte(a.body), &value); err != nil {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	return value
}

// brokenAudit is one that can't be written.
type brokenAudit struct{ webapp.Audit }

func (brokenAudit) AppendAudit(context.Context, audit.Entry) (audit.Mark, error) {
	return audit.Mark{}, core.Errorf(core.KindUnavailable, "disk is full")
}

func TestACallThatCanNotBeRecordedIsToldSo(t *testing.T) {
	t.Parallel()
	s := newSecured(t, func(o *webapp.Options) { o.Audit = brokenAudit{o.Audit} })
	got := s.post(t, "/1.0/stop-queue", "")
	if got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "audit") {
		t.Errorf("got %d %s", got.status, got.body)
	}
	// One that failed itself says why.
	if got := s.post(t, "/1.0/set-max-jobs", "max_jobs=many"); got.status != http.StatusBadRequest || !strings.Contains(got.body, "many") {
		t.Errorf("got %d %s", got.status, got.body)
	}
}
