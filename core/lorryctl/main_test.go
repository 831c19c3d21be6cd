package lorryctl

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"gopkg.in/yaml.v3"
)

// controller answers each route with a fixed text and remembers what it was
// asked.
type controller struct {
	*httptest.Server
	asked string // METHOD URL [BODY]
	token string
}

func newController(t *testing.T, status int, answer string) *controller {
	t.Helper()
	c := &controller{}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		c.asked = strings.TrimSpace(r.Method + " " + r.URL.String() + " " + string(body))
		c.token = r.Header.Get("Authorization")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(c.Close)
	return c
}

func run(args []string, env ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = Main(args, env, "1.2.3", &out, &errs)
	return code, out.String(), errs.String()
}

func TestEachCommandAsksItsRoute(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ command, answer, asked, stdout string }{
		{"queue start", "Queue set to run", "POST /1.0/start-queue", "Queue set to run\n"},
		{"queue stop", "Queue set to not run", "POST /1.0/stop-queue", "Queue set to not run\n"},
		{"queue --limit 0", `{"run_queue": []}`, "GET /1.0/status", "PATH  STATE  DUE  LAST RUN  RESULT  CAUSE\n"},
		{"lorries list --limit 7 --after a/b", `{"run_queue": []}`, "GET /1.0/status?after=a%2Fb&limit=7", "PATH  STATE  DUE  LAST RUN  RESULT  CAUSE\n"},
		{"lorries run a/b", "ok &lt;a&gt;", "POST /1.0/move-to-top path=a%2Fb", "ok <a>\n"},
		{"lorries move a/b bottom", "ok", "POST /1.0/move-to-bottom path=a%2Fb", "ok\n"},
		{"lorries hold a/b --reason why", "ok", "POST /1.0/hold path=a%2Fb&reason=why", "ok\n"},
		{"lorries resume a/b", "ok", "POST /1.0/resume path=a%2Fb", "ok\n"},
		{"retry a/b", "ok", "POST /1.0/retry path=a%2Fb", "ok\n"},
		{"jobs list --failed --path a --before 9", `{"jobs": []}`, "GET /1.0/jobs?before=9&failed=1&limit=50&path=a", "JOB  PATH  STATE  STARTED  TOOK  MINION  CAUSE\n"},
		{"jobs output 7", `{"job_id": 7, "output": "one\ntwo"}`, "GET /1.0/job/7", "one\ntwo"},
		{"jobs stop 7", `{"job_id": 7}`, "POST /1.0/stop-job job_id=7", "Job 7 is being stopped\n"},
		{"jobs remove 7", `{"job_id": 7}`, "POST /1.0/remove-job job_id=7", "Job 7 is removed\n"},
		{"hosts refresh", `{"updated-hosts": ["a", "b"]}`, "POST /1.0/force-ls-trove", "Refreshed: a, b\n"},
		{"hosts refresh a", `{"updated-hosts": ["a"]}`, "POST /1.0/force-ls-trove host=a", "Refreshed: a\n"},
		{"config read", "Configuration has been updated.", "POST /1.0/read-configuration", "Configuration has been updated.\n"},
		{
			"problems", `{"problems": [{"file": "x.lorry", "line": 3, "key": "url", "message": "no URL", "severity": "error"}]}`, "GET /1.0/problems",
			"SEVERITY  WHERE      KEY  PROBLEM\nerror     x.lorry:3  url  no URL\n",
		},
		{"adapters restart a/b", "ok", "POST /1.0/adapters/a%2Fb/restart", "ok\n"},
		{"approve a refs/heads/b 4567 0123", "ok", "POST /1.0/approve new=0123&old=4567&path=a&ref=refs%2Fheads%2Fb", "ok\n"},
		{"approve a refs/heads/b 0123", "ok", "POST /1.0/approve new=0123&path=a&ref=refs%2Fheads%2Fb", "ok\n"},
		{
			"problems -o table", `{"problems": [{"host": "downstream", "key": "credentials", "message": "they end", "severity": "warning", "hint": "make new ones"}]}`, "GET /1.0/problems",
			"SEVERITY  WHERE       KEY          PROBLEM\nwarning   downstream  credentials  they end; make new ones\n",
		},
		{
			"retirements --state failing", `{"retirements": [{"path": "a", "state": "failing", "attempts": 3, "next": 60, "error": "no"}, {"path": "b", "state": "archived", "attempts": 1, "archived": 61}], "next": "abc"}`,
			"GET /1.0/retirements?limit=100&state=failing",
			"PATH  STATE     ATTEMPTS  NEXT                 ARCHIVED             NOTE\na     failing   3         1970-01-01 00:01:00                       no\nb     archived  1                              1970-01-01 00:01:01  \nThere are more: --cursor abc\n",
		},
		{"retirement retry a/b", "ok", "POST /1.0/retirements/retry path=a%2Fb", "ok\n"},
		{"retirements cancel a/b", "ok", "POST /1.0/retirements/cancel path=a%2Fb", "ok\n"},
		{"approve --host h", "ok", "POST /1.0/approve host=h", "ok\n"},
		{"held a", `{"held_rewrites": [{"path": "a", "ref": "r", "old": "1", "new": "2"}]}`, "GET /1.0/held-rewrites?path=a", "PATH  REF  APPROVED  OLD  NEW\na     r    no        1    2\n"},
		{"lorry list --state failing --host h --older 2h --sort -path", `{"lorries": [], "next": "abc"}`, "GET /1.0/lorries?host=h&limit=100&older=7200&sort=-path&state=failing", "PATH  STATE  DUE  LAST RUN  RESULT  CAUSE\nThere are more: --cursor abc\n"},
		{"queue --text a --limit 0", `{"lorries": []}`, "GET /1.0/lorries?limit=10000&text=a", "PATH  STATE  DUE  LAST RUN  RESULT  CAUSE\n"},
		{"job list --state lost --minion m --newer 1m", `{"jobs": []}`, "GET /1.0/jobs?limit=50&minion=m&newer=60&state=lost", "JOB  PATH  STATE  STARTED  TOOK  MINION  CAUSE\n"},
		{"retry --kind auth --host h", `{"changed": 2, "message": "2 Lorries are due now"}`, "POST /1.0/retry host=h&kind=auth", "2 Lorries are due now\n"},
		{"lorries hold --kind auth --text up --reason why", `{"changed": 2, "message": "2 Lorries are held"}`, "POST /1.0/hold kind=auth&reason=why&text=up", "2 Lorries are held\n"},
		{"lorries resume --host h --state held", `{"changed": 1, "message": "1 Lorry is resumed"}`, "POST /1.0/resume host=h&state=held", "1 Lorry is resumed\n"},
		{"retry --kind auth --text up", `{"changed": 1, "message": "ok"}`, "POST /1.0/retry kind=auth&text=up", "ok\n"},
		{"jobs log 7", `{"job_id": 7, "output": "one\ntwo"}`, "GET /1.0/job/7", "one\ntwo"},
		{"jobs --failed", `{"jobs": []}`, "GET /1.0/jobs?failed=1&limit=50", "JOB  PATH  STATE  STARTED  TOOK  MINION  CAUSE\n"},
		{"jobs", `{"jobs": []}`, "GET /1.0/jobs?limit=50", "JOB  PATH  STATE  STARTED  TOOK  MINION  CAUSE\n"},
		{
			"lorries", `{"run_queue": [{"path": "a", "last_run_exit": "0"}, {"path": "b", "last_run_exit": "1", "failure": {"kind": "auth", "cause": "no"}}, {"path": "c", "last_run_exit": "returned"}]}`,
			"GET /1.0/status?limit=100", "PATH  STATE    DUE  LAST RUN  RESULT    CAUSE\na     new                     ok        \nb     failing                 auth      no\nc     new                     returned  \n",
		},
		{"retry --all -o json", `{"changed": 0, "message": "x"}`, "POST /1.0/retry all=1", "{\n  \"changed\": 0,\n  \"message\": \"x\"\n}\n"},
		{
			"failures", `{"groups": [{"kind": "auth", "host": "h", "count": 3, "cause": "no"}]}`, "GET /1.0/failures",
			"LORRIES  KIND  HOST  CAUSE OF ONE\n3        auth  h     no\nRetry a group with: lorryctl retry --kind auth --host h\n",
		},
		{"hosts hold h --reason why", "ok", "POST /1.0/hold host=h&reason=why", "ok\n"},
		{"host resume h", "ok", "POST /1.0/resume host=h", "ok\n"},
		{
			"minion list", `{"minions": [{"name": "m", "state": "busy", "labels": ["a", "b"], "jobs": [{"job_id": 7, "path": "p"}]}]}`, "GET /1.0/minions",
			"MINION  STATE  ADDRESS  VERSION  LABELS  LAST SEEN  RUNS\nm       busy                     a,b                7 p\n",
		},
		{"minions drain m/1", "ok", "POST /1.0/minions/drain minion=m%2F1", "ok\n"},
		{"config plan", `{"commit": "c", "added": [{"path": "a"}], "counts": {"added": 1}}`, "POST /1.0/plan", "+ a\nc: 1 to add, 0 to remove, 0 to change, 0 stay as they are\n"},
		{"config plan topic", `{"broken": "x.conf:1: bad"}`, "POST /1.0/plan commit=topic", "It can't be used at all, and nothing would change: x.conf:1: bad\n"},
		{"config check", `{"problems": []}`, "POST /1.0/plan", "No problem was found\n"},
		{"reload", `{"applied": ["a"], "restart": ["b"], "failed": ["c"]}`, "POST /-/reload", "applied: a\nfailed: c\nneeds a restart: b\n"},
		{"max-jobs", `{"max_jobs": 3}`, "GET /1.0/get-max-jobs", "3\n"},
		{"max-jobs none", `{"max_jobs": null}`, "POST /1.0/set-max-jobs max_jobs=", "none\n"},
		{"max-jobs 4 -o json", `{"max_jobs": 4}`, "POST /1.0/set-max-jobs max_jobs=4", "{\n  \"max_jobs\": 4\n}\n"},
		{"max-jobs -o yaml", `{"max_jobs": 4, "text": "4", "list": [1]}`, "GET /1.0/get-max-jobs", "max_jobs: 4\ntext: \"4\"\nlist:\n    - 1\n"},
		{"config read -o json", "ok", "POST /1.0/read-configuration", "{\n  \"message\": \"ok\"\n}\n"},
	} {
		c := newController(t, http.StatusOK, test.answer)
		code, stdout, stderr := run(append(strings.Fields(test.command), "--addr", c.URL))
		if diff := cmp.Diff([]any{0, test.asked, test.stdout, ""}, []any{code, c.asked, stdout, stderr}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.command, diff)
		}
	}
}

func TestErrorsHaveACodeAndANextStep(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		command        string
		status         int
		answer, stderr string
		code           int
	}{
		{"jobs stop 7", 409, `{"kind": "conflict", "message": "job 7 has ended", "hint": "look at it"}`, "ERROR: job 7 has ended\n  look at it\n", 1},
		{"status", 401, `{"kind": "unauthenticated", "message": "who are you?"}`, "ERROR: who are you?\n  set LORRY_TOKEN_FILE", 1},
		{"lorries show x", 404, `{"kind": "not-found", "message": "no Lorry \"x\""}`, "ERROR: no Lorry \"x\"\n  lorryctl queue names", 1},
		{"status", 503, `{"kind": "unavailable", "message": "the STATEDB is away"}`, "ERROR: the STATEDB is away\n", 3},
		{"status", 200, "<html>", "ERROR: answer to /1.0/status?limit=1 is not the controller's", 3},
		{"status", 200, `{"run_queue": 7}`, "ERROR: the answer is not that of a controller", 3},
		{"status", 303, "", "ERROR: controller answered \"303 See Other\"", 1},
		{"config read", 200, "ERROR: not a list &lt;x&gt;", "ERROR: not a list <x>\n  nothing was changed", 1},
		{"jobs remove 7", 200, `{"job_id": null, "reason": "still running"}`, "ERROR: job 7 was not removed: still running\n  stop it first", 1},
		{"jobs show x", 200, "{}", "ERROR: \"x\" is no job's number\n  lorryctl jobs show --help says what can be given\n", 2},
		{"lorries move a up", 200, "", "ERROR: a Lorry moves to top or bottom", 2},
		{"approve a", 200, "", "ERROR: approve needs", 2},
		{"retry", 200, "", "ERROR: retry needs a PATH", 2},
		{"retry a --all", 200, "", "ERROR: retry needs a PATH", 2},
		{"config plan a --dir b", 200, "", "ERROR: plan takes a COMMIT or --dir", 2},
		{"lorries list --state ok --after a", 200, "", "ERROR: --after is for the whole queue", 2},
		{"jobs output 7 --follow", 404, `{"kind": "not-found", "message": "there is no job 7", "hint": "look"}`, "ERROR: there is no job 7\n  look\n", 1},
		{"events", 200, "", "ERROR: the controller has ended the stream of events\n", 3},
		{"max-jobs -o xml", 200, "", "ERROR: --output must be", 2},
		{"nonsense", 200, "", "ERROR: unknown command", 2},
		{"status --nonsense", 200, "", "ERROR: unknown flag", 2},
		{"config", 200, "", "ERROR: lorryctl config needs one of its commands behind it: read, check, plan\n  lorryctl config --help", 2},
		{"queue list", 200, "", "ERROR: unknown command \"list\" for \"lorryctl queue\"\n  lorryctl queue --help", 2},
		{"lorries show x", 404, `{"kind": "not-found", "message": "there is no Lorry \"x\"", "hint": "/1.0/list-queue names them"}`, "ERROR: there is no Lorry \"x\"\n  lorryctl queue names", 1},
		{"lorries hold a --kind auth", 200, "", "ERROR: hold needs a PATH", 2},
		{"lorries resume", 200, "", "ERROR: resume needs a PATH", 2},
		{"max-jobs many", 200, "", "ERROR: the limit must be", 2},
		{"status \x1b[2J", 200, "", "ERROR: unknown command \"\\x1b[2J\"", 2},
	} {
		c := newController(t, test.status, test.answer)
		code, stdout, stderr := run(append(strings.Fields(test.command), "--addr", c.URL))
		if code != test.code || !strings.HasPrefix(stderr, test.stderr) || stdout != "" {
			t.Errorf("%s: want %d %q, got %d %q, stdout %q", test.command, test.code, test.stderr, code, stderr, stdout)
		}
	}
	code, _, stderr := run([]string{"status", "--addr", "127.0.0.1:1"})
	if code != 3 || !strings.Contains(stderr, "can't be reached") {
		t.Errorf("got %d %q", code, stderr)
	}
}

func TestTheEnvironment(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("from-a-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c := newController(t, http.StatusOK, `{"max_jobs": null}`)
	for _, test := range []struct {
		env    []string
		args   string
		code   int
		token  string
		stderr string
	}{
		{[]string{"LORRY_ADDR=" + c.URL, "LORRY_TEST_REQUIRE=all", "PATH=/bin"}, "", 0, "", ""},
		{[]string{"LORRY_ADDR=" + strings.TrimPrefix(c.URL, "http://")}, "", 0, "", ""},
		{[]string{"LORRY_ADDR=" + c.URL, "LORRY_TOKEN=secret"}, "", 0, "Bearer secret", ""},
		{[]string{"LORRY_ADDR=" + c.URL, "LORRY_TOKEN_FILE=" + file}, "", 0, "Bearer from-a-file", ""},
		{[]string{"LORRY_ADDR=" + c.URL, "LORRY_TOKEN=secret"}, "--token-file " + file, 0, "Bearer from-a-file", ""},
		{[]string{"LORRY_ADDR=" + c.URL, "LORRY_TOKEN_FILE=" + empty}, "", 2, "", "is empty"},
		{[]string{"LORRY_ADDR=" + c.URL, "LORRY_TOKEN_FILE=/nowhere/token"}, "", 2, "", "can't be read"},
		{[]string{"LORRY_TOKEN=secret", "LORRY_TOKEN_FILE=" + file}, "", 2, "", "both set"},
		{[]string{"LORRY_ADR=x"}, "", 2, "", "environment variable LORRY_ADR is no setting of lorryctl"},
		{[]string{"LORRY_ADDR=http://user:secret@127.0.0.1/"}, "", 2, "", "no user name or password"},
		{[]string{"LORRY_ADDR=ftp://127.0.0.1/"}, "", 2, "", "must be HOST:PORT or a URL"},
		{[]string{"LORRY_TOKEN=secret", "LORRY_ADDR=http://lorry.invalid:1"}, "", 3, "", "without encryption"},
	} {
		c.token = ""
		code, _, stderr := run(append([]string{"max-jobs"}, strings.Fields(test.args)...), test.env...)
		if code != test.code || c.token != test.token || !strings.Contains(stderr, test.stderr) || test.stderr == "" && stderr != "" {
			t.Errorf("%v: want %d %q %q, got %d %q %q", test.env, test.code, test.token, test.stderr, code, c.token, stderr)
		}
		if strings.Contains(stderr, "secret") {
			t.Errorf("%v: the token is told: %q", test.env, stderr)
		}
	}
}

func TestNothingFromElsewhereReachesTheTerminalUnchanged(t *testing.T) {
	t.Parallel()
	c := newController(t, http.StatusOK, `{"jobs": [{"job_id": 1, "path": "a\u001b[2Jb\nc", "state": "failed", "started": 10, "ended": 75}],
		"output": "one\rtwo\u001b]0;x\u0007\n"}`)
	var out bytes.Buffer
	a := &app{
		stdout: &out, stderr: io.Discard, terminal: true, colours: true, clock: func() time.Time { return time.Unix(100, 0) },
		env: environment{addr: c.URL},
	}
	for _, args := range [][]string{{"jobs", "list"}, {"jobs", "output", "1"}} {
		if err := a.run(t.Context(), args); err != nil {
			t.Fatal(err)
		}
	}
	want := "\x1b[1mJOB\x1b[0m  \x1b[1mPATH\x1b[0m      \x1b[1mSTATE\x1b[0m   \x1b[1mSTARTED\x1b[0m  \x1b[1mTOOK\x1b[0m       \x1b[1mMINION\x1b[0m  \x1b[1mCAUSE\x1b[0m\n" +
		"1    a?[2Jb c  \x1b[31mfailed\x1b[0m           1 min 5 s          \n" +
		"one\ntwo?]0;x?\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheManualNamesEveryCommandAndFlag(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../../docs/lorryctl.md")
	if err != nil {
		t.Fatal(err)
	}
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		if c.Runnable() && !c.HasSubCommands() && !strings.Contains(string(manual), "`"+strings.TrimPrefix(c.CommandPath(), "lorryctl ")) {
			t.Errorf("docs/lorryctl.md does not name %q", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit((&app{}).root())
}

func TestManPagesAndCompletions(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "man1")
	if code, _, stderr := run([]string{"man", dir}); code != 0 {
		t.Fatal(stderr)
	}
	page, err := os.ReadFile(filepath.Join(dir, "lorryctl-lorries-show.1"))
	if err != nil || !bytes.Contains(page, []byte("lorryctl 1.2.3")) {
		t.Errorf("%v: %s", err, page)
	}
	for _, shell := range []string{"bash", "fish", "powershell", "zsh"} {
		if code, stdout, stderr := run([]string{"completion", shell}); code != 0 || !strings.Contains(stdout, "lorryctl") || stderr != "" {
			t.Errorf("%s: %d %q", shell, code, stderr)
		}
	}
}

func FuzzYAMLKeepsTexts(f *testing.F) {
	for _, text := range []string{"", "yes", "1", "null", "x: y\n- z", "\x1b", " a\t", "\u2028", "#"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want := strings.ToValidUTF8(text, "\uFFFD")
		shown, err := asYAML(object(map[string]string{"text": want}))
		if err != nil {
			t.Fatalf("%q: %v", want, err)
		}
		var got map[string]string
		if err := yaml.Unmarshal([]byte(shown), &got); err != nil || got["text"] != want {
			t.Errorf("want %q, got %q from %q, %v", want, got["text"], shown, err)
		}
	})
}
