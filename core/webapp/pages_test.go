package webapp_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/webapp"
)

// fill gives the queue a bit of everything.
func (s *site) fill(t *testing.T) {
	t.Helper()
	now := s.clock.Now()
	for i := range 60 {
		l := lorryAt(fmt.Sprintf("upstream/project-%02d", i))
		l.Due = now.Add(time.Duration(i*7) * time.Minute)
		l.LastRun, l.LastSuccess, l.LastExit = now.Add(-2*time.Hour), now.Add(-2*time.Hour), "0"
		l.DiskUsage = int64(i) << 22
		s.queue.Put(l)
	}
	for i, failure := range []core.Failure{
		{Kind: core.FailAuth, Cause: "remote: HTTP Basic: Access denied", Hint: "check the credentials of gitlab.example.com in lorry-controller.conf"},
		{Kind: core.FailGone, Cause: "repository git://example.com/old does not exist", Hint: "remove its .lorry file when it has moved for good"},
	} {
		l := lorryAt(fmt.Sprintf("broken/mirror-%d", i))
		l.Due, l.LastRun, l.LastFailure, l.LastExit = now.Add(time.Hour), now.Add(-time.Hour), failure, "1"
		l.Failures = 1 + 6*i
		if i == 1 {
			l.LastSuccess = now.Add(-100 * time.Hour)
		}
		s.queue.Put(l)
	}
	s.queue.SetHosts(
		core.HostState{Name: "gitlab.example.com", Type: "gitlab", LsInterval: 4 * time.Hour, LsLast: now.Add(-time.Hour), LsDue: now.Add(3 * time.Hour), Listed: 1204},
		core.HostState{Name: "trove.example.org", Type: "trove", LsError: "no answer from trove.example.org within 30 s", LsLast: now.Add(-50 * time.Hour), LsDue: now.Add(time.Minute), Listed: 310},
		core.HostState{Name: "gitea.example.org", Type: "gitea", LsDue: now},
	)
	s.queue.SetProblems(
		core.Problem{File: "open-source/foo.lorry", Line: 12, Message: "not valid YAML: did not find expected key", Severity: core.SeverityError},
		core.Problem{File: "lorry-controller.conf", Line: 4, Key: "interval", Message: "interval \"often\" can't be read, 24 h is used", Severity: core.SeverityWarning},
	)
	claimed, err := s.queue.Claim(t.Context(), queue.ClaimParams{Minion: "minion-1.example.com", PID: 4711})
	if err != nil || len(claimed) != 1 {
		t.Fatalf("claimed %v: %v", claimed, err)
	}
	s.clock.Add(135 * time.Second)
	_, err = s.queue.Update(t.Context(), []queue.UpdateParams{{
		Job: 1, Output: "Cloning into bare repository\nReceiving objects:  10% (1/10)\rReceiving objects:  64% (6412/10018), 11.50 MiB | 2.30 MiB/s\r",
	}})
	if err != nil {
		t.Fatal(err)
	}
}

// contains checks that a page says all of the texts.
func (a answer) contains(t *testing.T, texts ...string) {
	t.Helper()
	if a.status != 200 || a.header.Get("Content-Type") != "text/html; charset=UTF-8" {
		t.Errorf("want a page, got %d %s", a.status, a.header.Get("Content-Type"))
	}
	for _, text := range texts {
		if !strings.Contains(a.body, text) {
			t.Errorf("page does not say %q", text)
		}
	}
	if t.Failed() {
		t.Log(a.body)
	}
}

func TestTheStatusPageSaysWhatMatters(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(t)
	s.get(t, "/1.0/status-html").contains(t,
		"The queue is running", "Stop the queue", "2 of 62 Lorries fail",
		"upstream/project-00", "minion-1.example.com", "2 min 15 s", "64% (6412/10018)",
		"Access denied", "check the credentials", ">auth<", "7 times", "1 time<", "never",
		"open-source/foo.lorry:12", "did not find expected key",
		"gitlab.example.com", "1204", "listing failed", "no answer from trove.example.org", "not listed yet",
		"in 4 min 45 s", "/1.0/status-html?after=upstream%2fproject-22#queue", "1.2.3", "local at /srv/mirrors", "Free disk space",
	)
	if strings.Contains(s.get(t, "/1.0/status-html").body, "10% (1/10)") {
		t.Error("progress that was overwritten is shown")
	}
	s.get(t, "/1.0/status-html?after=upstream/project-47").contains(t, "upstream/project-59", "First page")
	s.post(t, "/1.0/stop-queue", "")
	s.get(t, "/1.0/status-html").contains(t, "The queue is stopped", "Start the queue")
}

func TestEmptyPagesSayWhatToDo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.get(t, "/1.0/status-html").contains(t,
		"Nothing to mirror yet: add a section to <code>lorry-controller.conf</code>", "No job runs at the moment",
		"No Upstream Host is configured", "No Lorry is failing")
	s.get(t, "/1.0/list-jobs-html").contains(t, "No jobs to show")
	if got := s.get(t, "/"); got.status != 303 || got.header.Get("Location") != "/1.0/status-html" {
		t.Errorf("want a redirect to the status page, got %d %v", got.status, got.header)
	}
}

// A due Lorry may wait for more than a minion, so the page does not name one
// cause alone.
func TestThePageSaysWhatDueLorriesWaitFor(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	l := lorryAt("upstream/foo")
	l.Due = s.clock.Now()
	s.queue.Put(l)
	s.get(t, "/1.0/status-html").contains(t, "1 Lorry is due and waits: for a minion, or for a host that is given a rest")
}

func TestOtherPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fill(t)
	s.post(t, "/1.0/job-update", "job_id=1&exit=1&stdout=fatal: broken%0A")
	s.get(t, "/1.0/lorry-html/upstream/project-00").contains(t,
		"git://example.com/foo", "/1.0/job-html/1", "Move to the top", "lorry exited with code 1: fatal: broken")
	s.get(t, "/1.0/job-html/1").contains(t, "fatal: broken", "minion-1.example.com, process 4711", "Remove this job", "failed")
	s.get(t, "/1.0/list-jobs-html?failed=1").contains(t, "Failed jobs", "/1.0/job-html/1", `data-label="Lorry"`)
	if own := s.get(t, "/1.0/lorry-html/upstream/project-00"); strings.Contains(own.body, `data-label="Lorry"`) {
		t.Error("the jobs on a Lorry's own page name it again")
	}
	got := s.send(t, "GET", "/1.0/job-html/99", "", "", "Accept", "text/html")
	if got.status != 404 || !strings.Contains(got.body, "Error: 404 Not Found") {
		t.Errorf("want an error page, got %d %s", got.status, got.body)
	}
	css := s.get(t, "/lc-static/lorry.css")
	if css.status != 200 || css.header.Get("Content-Type") != "text/css; charset=UTF-8" {
		t.Errorf("want a style sheet, got %d %v", css.status, css.header)
	}
	for _, path := range []string{"/lc-static/", "/lc-static/no.css", "/lc-static/../pages.go", "/lc-static/%2e%2e/pages.go"} {
		if got := s.get(t, path); got.status != 404 {
			t.Errorf("%s: want 404, got %d", path, got.status)
		}
	}
}

func TestHostileTextIsShownNotObeyed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>\x1b[31mred\u202eright\u2066iso\u200bzero\x00"
	l := lorryAt("up/<script>alert(3)</script>")
	l.LastFailure = core.Failure{Kind: core.FailOther, Cause: evil, Hint: evil}
	l.Text, l.HeldReason = evil, evil
	s.queue.Put(l, lorryAt("up/run"))
	s.queue.SetHosts(core.HostState{Name: evil, Type: evil, LsError: evil, Purge: evil})
	s.queue.SetProblems(core.Problem{File: evil, Line: 1, Key: evil, Message: evil, Severity: evil})
	if _, err := s.queue.Claim(t.Context(), queue.ClaimParams{Minion: evil}); err != nil {
		t.Fatal(err)
	}
	_, err := s.queue.Update(t.Context(), []queue.UpdateParams{{
		Job: 1, Output: evil, Done: true, Exit: "1", Failure: core.Failure{Kind: evil, Cause: evil},
		Refs: []core.RefResult{{Ref: "refs/heads/" + evil, Old: evil, New: evil, Status: evil, Reason: evil}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"/1.0/status-html", "/1.0/job-html/1", "/1.0/lorry-html/up/run", "/1.0/list-jobs-html",
		"/1.0/lorry-html/up/%3Cscript%3Ealert(3)%3C/script%3E", "/1.0/status-html?after=" + "%3Cscript%3E",
	} {
		got := s.send(t, "GET", path, "", "", "Accept", "text/html")
		got.body = strings.Replace(got.body, `<script src="/lc-static/live.js" defer></script>`, "", 1) // the page's own
		for _, raw := range []string{"<script", "<img", "\x1b", "\u202e", "\u2066", "\u200b", "\x00"} {
			if strings.Contains(got.body, raw) {
				t.Errorf("%s (%d) has %q as it stands", path, got.status, raw)
			}
		}
		if policy := got.header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "script-src 'self';") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: content security policy is %q", path, policy)
		}
	}
	s.get(t, "/1.0/job-html/1").contains(t, "&lt;script&gt;", "␛[31mred", "[U+202E]right", "[U+200B]zero")
}

func TestTheStaticCopyStandsAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, link := filepath.Join(dir, "status.html"), filepath.Join(dir, "link.html")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSite(t, func(o *webapp.Options) { o.StatusHTML = link })
	s.fill(t)
	s.get(t, "/1.0/status-html").contains(t, "Stop the queue")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<form", "<a ", "<link", "Access denied"} {
		if strings.Contains(string(text), bad) {
			t.Errorf("static copy has %q", bad)
		}
	}
	for _, good := range []string{"<style>", "upstream/project-00", "The queue is running", "color-scheme"} {
		if !strings.Contains(string(text), good) {
			t.Errorf("static copy lacks %q", good)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	if diff := cmp.Diff([]string{"link.html", "status.html"}, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("the link was replaced: %v %v", info, err)
	}
}

func TestAStatusFileThatCantBeWrittenHidesNoPage(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *webapp.Options) { o.StatusHTML = "/no/such/directory/status.html" })
	s.get(t, "/1.0/status-html").contains(t, "The queue is running")
	if err := s.server.WriteStatusHTML(t.Context()); err == nil {
		t.Error("want an error for the caller who asked for the file")
	}
}
