package settings

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lorry-controller/lorry-controller/core"
)

func controller(t *testing.T, embedded bool, file string, args ...string) (Controller, []string, error) {
	t.Helper()
	table := ControllerTable("1")
	table.Etc = t.TempDir()
	if file != "" {
		args = append(args, "--config="+write(t, "webapp.conf", file))
	}
	v, err := table.Parse(args, nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := NewController(v, embedded)
	return c, v.Warnings, err
}

func TestControllerHelpPutsTheCommandFirst(t *testing.T) {
	t.Parallel()
	v, err := ControllerTable("1").Parse([]string{"--help", "--no-default-configs"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if _, err := v.Inform(&out); err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(out.String(), "\n")
	if diff := cmp.Diff("Usage: lorry-controller [COMMAND] [options]", first); diff != "" {
		t.Error(diff)
	}
}

// An installation of the original keeps its configuration file.
func TestOldConfigurationFile(t *testing.T) {
	t.Parallel()
	got, warnings, err := controller(t, false, `[config]
log = /home/lorry/webapp.log
log-max = 100M
log-keep = 10
log-level = debug
statedb = /home/lorry/webapp.db
configuration-directory = /home/lorry/confgit
status-html = /home/lorry/lc-status.html
wsgi = yes
debug-port = 12765
templates = /usr/share/lorry-controller/templates
confgit-url = ssh://git@localhost/TROVE_ID/local-config/lorries
`)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(got.StateDBSource, "webapp.conf:6: statedb") {
		t.Errorf("the STATEDB comes from %q", got.StateDBSource)
	}
	got.StateDBSource = ""
	want := Controller{
		Data: "/home/lorry", StateDB: core.NewSecret("/home/lorry/webapp.db"), Listen: "127.0.0.1:12765", WSGI: true,
		StatusHTML: "/home/lorry/lc-status.html",
		Confgit: Confgit{
			URL:    "ssh://git@localhost/TROVE_ID/local-config/lorries",
			Mirror: "/home/lorry/confgit-mirror", Directory: "/home/lorry/confgit", ProxyFile: "proxy.conf",
		},
		Downstream: Downstream{
			Type: "gitano", SSHURL: "ssh://git@localhost",
			HTTPURL: "http://localhost/", Visibility: "private", Retire: core.RetireLeave,
		},
		CheckCertificates: true, WorkingArea: "/home/lorry/work",
		GhostTimeout: 2 * time.Minute, RetryBackoff: 24 * time.Hour, AffinityGrace: 10 * time.Second,
		MinFree: 200_000_000, PurgeProtect: 5, ReadConfiguration: 2 * time.Minute, LsTroves: time.Minute,
		Notify:       Notify{Security: "starttls", Delay: time.Minute, Digest: time.Hour, StaleAfter: 7 * 24 * time.Hour},
		Retention:    Retention{Age: 30 * 24 * time.Hour, UnchangedAge: 3 * 24 * time.Hour, PerLorry: 100},
		MaxJobOutput: 1_000_000,
		Log:          Log{To: "/home/lorry/webapp.log", Level: "debug", Max: 100_000_000, Keep: 10, Mode: 0o600},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b core.Secret) bool { return a == b }), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "templates has no effect") {
		t.Errorf("got warnings %q", warnings)
	}
}

func TestController(t *testing.T) {
	t.Parallel()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	type view struct {
		Data, StateDB, Listen, URL, User, Password, Downstream, Base string
		Minions                                                      int
		Starter                                                      bool
	}
	for _, tt := range []struct {
		name     string
		embedded bool
		args     string
		want     view
	}{
		{
			name: "run needs nothing", embedded: true,
			want: view{Data: here + "/var", StateDB: here + "/var/state.db", Listen: "127.0.0.1:12765", URL: here + "/var/confgit.git", Downstream: "local", Base: here + "/var/mirrors", Minions: 2, Starter: true},
		},
		{
			name: "run with all said", embedded: true, args: "--data=/d --minions=0 --listen=:99 --confgit-url=https://u:p@example.com/c --downstream-host-type=gerrit",
			want: view{Data: "/d", StateDB: "/d/state.db", Listen: ":99", URL: "https://example.com/c", User: "u", Password: "p", Downstream: "gerrit", Base: "/d/mirrors"},
		},
		{
			name: "PostgreSQL", args: "--statedb=postgres://u@db.example.com/lorry --statedb-password=a@b --debug-host=0.0.0.0",
			want: view{Data: "/var/lib/lorry-controller", StateDB: "postgres://u:a%40b@db.example.com/lorry", Listen: "0.0.0.0:12765", Downstream: "gitano"},
		},
		{name: "a lone token", args: "--confgit-url=https://tok@example.com/c", want: view{Data: "/var/lib/lorry-controller", StateDB: "/var/lib/lorry-controller/state.db", Listen: "127.0.0.1:12765", URL: "https://example.com/c", Password: "tok", Downstream: "gitano"}},
		{name: "ssh keeps its user", args: "--confgit-url=ssh://git@example.com/c", want: view{Data: "/var/lib/lorry-controller", StateDB: "/var/lib/lorry-controller/state.db", Listen: "127.0.0.1:12765", URL: "ssh://git@example.com/c", Downstream: "gitano"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c, _, err := controller(t, tt.embedded, "", strings.Fields(tt.args)...)
			if err != nil {
				t.Fatal(err)
			}
			got := view{
				c.Data, c.StateDB.Reveal(), c.Listen, c.Confgit.URL, c.Confgit.Username, c.Confgit.Password.Reveal(),
				c.Downstream.Type, c.Downstream.BaseDirectory, c.Minions, c.Confgit.Starter,
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestControllerErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, file, args string
		want             []string
	}{
		{
			name: "all errors at once",
			file: "[config]\ndownstream-host-type = gitlab\nstatedb = mysql://x\ndownstream-http-url = nowhere\nfile-roots = here\nmirror = x\n",
			want: []string{
				"webapp.conf:3: statedb: expected the name of a file",
				"webapp.conf:6: mirror: adds to the CONFGIT that run makes",
				"webapp.conf:2: downstream-host-type: a Downstream Host of type gitlab needs gitlab-private-token",
				"webapp.conf:4: downstream-http-url: is not a URL such as",
				`webapp.conf:5: file-roots: "here" must begin with "/"`,
			},
		},
		{name: "gitea needs a token", args: "--git-server-type=gitea", want: []string{"needs gitea-access-token"}},
		{name: "local needs a directory", args: "--downstream-host-type=local", want: []string{"needs local-base-directory"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, _, err := controller(t, false, tt.file, strings.Fields(tt.args)...)
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("want %q in %v", want, err)
				}
			}
		})
	}
}

// What --dump-config prints can be read again and means the same.
func TestDumpCanBeReadAgain(t *testing.T) {
	t.Parallel()
	dump := func(args ...string) string {
		v, err := ControllerTable("1").Parse(append(args, "--no-default-configs", "--dump-config"), nil)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if _, err := v.Inform(&out); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	first := dump("--minions=3", "--file-roots=/a,b", "--file-roots=/c", "--confgit-url=https://example.com/100%25", "--no-check-certificates")
	if diff := cmp.Diff(first, dump("--config="+write(t, "again.conf", first))); diff != "" {
		t.Error(diff)
	}
	for _, line := range []string{"minions = 3", `file-roots = "/a,b", /c`, "confgit-url = https://example.com/100%%25", "check-certificates = no", "# listen ="} {
		if !strings.Contains(first, "\n"+line+"\n") {
			t.Errorf("%q is missing", line)
		}
	}
}

func TestBadControllerValues(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"--listen=12765":                 "is not ADDR:PORT",
		"--listen=:99999":                "is not a port number",
		"--debug-port=http":              "is not a port number",
		"--ghost-timeout=0":              "must be more than 0",
		"--retry-backoff=often":          "or none",
		"--purge-protect=101":            "is not a percentage",
		"--downstream-host-type=../x":    "is not a type of host",
		"--downstream-visibility=secret": "is not one of private, internal, public",
		"--debug-fake-trove=x":           "is not HOST=FILE",
		"--log-level=loud":               "is not one of trace",
		"--log-mode=9":                   "is not a file mode",
	} {
		if _, err := ControllerTable("1").Parse([]string{"--no-default-configs", args}, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", args, err, want)
		}
	}
}
