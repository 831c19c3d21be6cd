package importer

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// TestPushOptions sends those of the command line and of the adapter, in
// order, to a server that takes them, and does without on one that does not.
func TestPushOptions(t *testing.T) {
	t.Parallel()
	for _, takes := range []bool{true, false} {
		w := newWorld(t)
		seen := filepath.Join(w.dir, "seen")
		script := "#!/bin/sh\necho \"$GIT_PUSH_OPTION_COUNT $GIT_PUSH_OPTION_0 $GIT_PUSH_OPTION_1\" >" + seen + "\n"
		if err := os.MkdirAll(filepath.Join(w.down.Dir, "hooks"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(w.down.Dir, "hooks", "pre-receive"), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		if takes {
			w.down.Git("config", "receive.advertisePushOptions", "true")
		}
		server := gittest.NewServer(t, filepath.Join(w.dir, "down"))
		w.opts.PushOptions = []string{"ci.skip"}
		w.opts.Request.Push = &protocol.Access{URL: server.URL + "/group/thing.git", PushOptions: []string{"note=a b"}}
		w.mustRun()
		w.mustEqual()
		text, err := os.ReadFile(seen)
		if err != nil {
			t.Fatal(err)
		}
		want := "0"
		if takes {
			want = "2 ci.skip note=a b"
		}
		if diff := cmp.Diff(strings.TrimSpace(want), strings.TrimSpace(string(text))); diff != "" {
			t.Errorf("takes %v: %s", takes, diff)
		}
		if told := strings.Contains(w.out.String(), "downstream takes no push options"); told == takes {
			t.Errorf("takes %v:\n%s", takes, w.out)
		}
	}
}

// TestUpstreamAsksToWait carries how long a host wants to be left alone into
// the report.
func TestUpstreamAsksToWait(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		header string
		want   int64
	}{
		{"37", 37},
		{now.Add(90 * time.Second).Format(http.TimeFormat), 90},
		{"99999999", 24 * 60 * 60},
		{"", 0},
		{"-4", 0},
		{"soon", 0},
		{now.Add(-time.Hour).Format(http.TimeFormat), 0},
	} {
		w := newWorld(t)
		server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Retry-After", test.header)
			rw.Header().Set("Date", now.Format(http.TimeFormat))
			rw.WriteHeader(http.StatusTooManyRequests)
		}))
		t.Cleanup(server.Close)
		w.opts.Spec.Access.URL = server.URL + "/thing.git"
		if got := w.mustFail(core.FailRateLimited).Failure.RetryAfter; got != test.want {
			t.Errorf("%q: want %d, got %d", test.header, test.want, got)
		}
	}
}
