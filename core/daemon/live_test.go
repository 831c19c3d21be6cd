package daemon

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core/settings"
)

// changes gives, for each setting that has an effect, two values of which the
// second is not the default.
var changes = map[string][2]string{
	"log-level": {"info", "debug"}, "confgit-username": {"a", "b"}, "confgit-password": {"p", "q"},
	"deny-private-addresses": {"no", "yes"}, "allow-addresses": {"a.example.com", "b.example.com"},
	"downstream-visibility": {"private", "public"}, "downstream-retire": {"leave", "archive"}, "gerrit-parent-project": {"a", "b"},
	"gitlab-private-token": {"t", "u"}, "gitea-access-token": {"t", "u"}, "downstream-setting": {"a=1", "a=2"}, "downstream-secret-file": {"a=/1", "a=/2"},
	"ghost-timeout": {"60", "61"}, "max-jobs-per-host": {"1", "2"}, "retry-backoff": {"1h", "2h"}, "affinity-grace": {"10", "11"},
	"min-free": {"1", "2"}, "purge-protect": {"5", "6"}, "read-configuration-interval": {"1m", "2m"}, "ls-troves-interval": {"1m", "2m"},
	"publish-failures": {"no", "yes"}, "keep-jobs": {"1d", "2d"}, "keep-unchanged-jobs": {"1d", "2d"}, "keep-jobs-per-lorry": {"1", "2"},
	"max-job-output": {"1k", "2k"}, "keep-audit": {"1d", "2d"}, "adapter-max-calls": {"gitea=1", "gitea=2"},
	"adapter-sha256":      {"gitea=" + strings.Repeat("a", 64), "gitea=" + strings.Repeat("b", 64)},
	"webhook-secret-file": {"a=/1", "a=/2"}, "notify-webhook": {"https://a.example.com/", "https://b.example.com/"}, "notify-webhook-secret": {"s", "t"},
	"notify-smtp": {"a.example.com:25", "b.example.com:25"}, "notify-smtp-security": {"starttls", "tls"}, "notify-smtp-user": {"a", "b"},
	"notify-smtp-password": {"p", "q"}, "notify-from": {"a@example.com", "b@example.com"}, "notify-to": {"a@example.com", "b@example.com"},
	"notify-events": {"disk", "adapters"}, "notify-delay": {"1m", "2m"}, "notify-digest": {"1h", "2h"}, "notify-stale-after": {"1d", "2d"},

	"data": {"/a", "/b"}, "statedb": {"postgres://a@db.example.com/x", "postgres://b@db.example.com/x"}, "statedb-password": {"p", "q"},
	"listen": {"127.0.0.1:1", "127.0.0.1:2"}, "status-html": {"/a", "/b"},
	"confgit-url": {"https://a.example.com/c", "https://b.example.com/c"}, "confgit-branch": {"a", "b"}, "configuration-directory": {"/a", "/b"},
	"confgit-secrets": {"/a", "/b"}, "proxy-config": {"a", "b"}, "file-roots": {"/a", "/b"}, "debug-fake-trove": {"a=/1", "a=/2"}, "debug-pretend-time": {"no", "yes"},
	"downstream-host-type": {"gitlab", "gitea"}, "downstream-ssh-url": {"ssh://a.example.com", "ssh://b.example.com"},
	"downstream-http-url": {"https://a.example.com/", "https://b.example.com/"}, "local-base-directory": {"/a", "/b"}, "check-certificates": {"yes", "no"},
	"minions": {"1", "2"}, "lorry-cmd": {"a", "b"}, "lorry-working-area": {"/a", "/b"}, "insecure-no-auth": {"no", "yes"}, "metrics-public": {"no", "yes"},
	"tls-certificate": {"/a", "/b"}, "tls-key": {"/a", "/b"}, "minion-ca": {"/a", "/b"}, "adapter-dir": {"/a", "/b"}, "dev": {"no", "yes"},
	"adapters": {"gitea", "gitlab"}, "adapter-path": {"gitea=/a", "gitea=/b"}, "metrics-per-lorry": {"no", "yes"},
	"log": {"/a", "/b"}, "log-max": {"1k", "2k"}, "log-keep": {"1", "2"}, "log-mode": {"0600", "0640"},
}

// notTried have no effect of their own here: other forms of the same, what run
// alone knows, what can't be together with another one (wsgi with TLS), and what
// the original had.
var notTried = map[string]bool{
	"debug-host": true, "debug-port": true, "wsgi": true, "mirror": true, "upstream-dir": true, "output": true,
	"templates": true, "static-files": true, "debug-real-confgit": true, "debug-fake-confgit": true,
	"memory-dump-interval": true, "dump-memory-profile": true, "generate-manpage": true,
}

// TestAReloadTakesOverJustWhatTheTableSays changes each setting alone.
func TestAReloadTakesOverJustWhatTheTableSays(t *testing.T) {
	t.Parallel()
	read := func(changed string) (*settings.Values, settings.Controller) {
		t.Helper()
		var file strings.Builder
		file.WriteString("[config]\n")
		for name, values := range changes {
			value := values[0]
			if name == changed {
				value = values[1]
			}
			file.WriteString(name + " = " + value + "\n")
		}
		name := filepath.Join(t.TempDir(), "webapp.conf")
		if err := os.WriteFile(name, []byte(file.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		values, err := settings.ControllerTable("1").Parse([]string{"--no-default-configs", "--config", name}, nil)
		if err != nil {
			t.Fatal(err)
		}
		c, err := settings.NewController(values, false)
		if err != nil {
			t.Fatalf("%s: %v", changed, err)
		}
		c.StateDBSource = "" // the file has another name each time
		return values, c
	}
	before, start := read("")
	for name := range changes {
		values, next := read(name)
		if diff := cmp.Diff([]string{name}, values.Changed(before)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if reflect.DeepEqual(start, next) {
			t.Errorf("%s: this test tries no change", name)
		}
		counts, want := !reflect.DeepEqual(start, takeOverSettings(start, next)), values.Rereads(name) || name == "log-level"
		if counts != want {
			t.Errorf("%s: a reload takes it over: %t; the table says so: %t", name, counts, want)
		}
	}
	var names bytes.Buffer
	asked, err := settings.ControllerTable("1").Parse([]string{"--no-default-configs", "--dump-setting-names"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := asked.Inform(&names); err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsSeq(names.String()) {
		if _, tried := changes[name]; !tried && !notTried[name] && !(strings.HasSuffix(name, "-file") && changes[strings.TrimSuffix(name, "-file")][0] != "") {
			t.Errorf("setting %q is not in this test: does a reload take it over?", name)
		}
	}
}

func TestAPasswordIsNotTakenOverForAnotherCONFGIT(t *testing.T) {
	t.Parallel()
	start := settings.Controller{Confgit: settings.Confgit{URL: "https://a.example.com/c", Username: "a"}}
	next := settings.Controller{Confgit: settings.Confgit{URL: "https://b.example.com/c", Username: "b"}}
	if got := takeOverSettings(start, next).Confgit; got.Username != "a" || got.URL != start.Confgit.URL {
		t.Errorf("got %+v", got)
	}
}

// TestUpkeepTakesANewPace changes the pace of a chore that waits, stops it, and
// starts it again.
func TestUpkeepTakesANewPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var runs []time.Duration
		begin, pace := time.Now(), time.Hour
		var renewed renewal
		u := &upkeep{
			log: hclog.NewNullLogger(), changed: renewed.changed,
			leads: func(ctx context.Context) (context.Context, bool) { return ctx, true },
			chores: []chore{{
				name: "count", first: time.Minute, pace: func() time.Duration { return pace },
				do: func(context.Context) error { runs = append(runs, time.Since(begin)); return nil },
			}},
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan struct{})
		go func() { defer close(done); u.run(ctx) }()
		set := func(at, next time.Duration) {
			<-time.After(time.Until(begin.Add(at)))
			synctest.Wait()
			pace = next
			renewed.tell()
		}
		set(3*time.Minute, 10*time.Minute) // runs at 1, 11 and 21 min
		set(25*time.Minute, 0)
		set(5*time.Hour, 2*time.Hour) // long over: at once, and at 7 h
		set(8*time.Hour, time.Hour)   // at once
		synctest.Wait()
		cancel()
		<-done
		want := []time.Duration{time.Minute, 11 * time.Minute, 21 * time.Minute, 5 * time.Hour, 7 * time.Hour, 8 * time.Hour}
		if diff := cmp.Diff(want, runs); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
