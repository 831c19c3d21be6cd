package integration

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/integration/pgtest"
)

// twoCores are two controllers, with a data directory each, on one PostgreSQL.
type twoCores struct {
	*testing.T
	dir   string
	env   []string // with the STATEDB, for the controllers
	url   [3]string
	admin string // a token

	client *http.Client
}

// configure writes a CONFGIT with these Lorries.
func (w *twoCores) configure(interval, lorries string) {
	w.Helper()
	for name, text := range map[string]string{
		"lorry-controller.conf": `[{"type": "lorries", "interval": "` + interval + `", "prefix": "m", "globs": ["*.lorry"]}]`,
		"some.lorry":            lorries,
	} {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
			w.Fatal(err)
		}
	}
}

// alwaysDue writes a CONFGIT with so many Lorries that have no interval.
func (w *twoCores) alwaysDue(n int) {
	w.Helper()
	lorries := make([]string, n)
	for i := range lorries {
		lorries[i] = fmt.Sprintf(`"r%d": {"type": "git", "url": "https://git.example.com/r%d"}`, i, i)
	}
	w.configure("0s", "{"+strings.Join(lorries, ",\n")+"}")
}

func startTwoCores(t *testing.T) *twoCores {
	t.Helper()
	servers := pgtest.New(t)
	w := &twoCores{T: t, dir: t.TempDir(), client: &http.Client{}}
	t.Cleanup(w.client.CloseIdleConnections)
	w.env = append(os.Environ(), "LORRY_STATEDB="+servers.Prepared(t, func(string) error { return nil }), "PATH="+binDir+":"+os.Getenv("PATH"))
	w.configure("1h", `{"one": {"type": "git", "url": "https://git.example.com/one"}}`)
	w.admin = w.token("lorry-controller", "token", "create", "--no-default-configs", "--data", filepath.Join(w.dir, "0"), "--role", "admin", "--name", "root")
	for i := range 2 {
		address := freeAddress(t)
		w.url[i] = "http://" + address
		core := exec.Command(filepath.Join(binDir, "lorry-controller"), "--no-default-configs", "--data", filepath.Join(w.dir, []string{"0", "1"}[i]),
			"--configuration-directory", w.dir, "--downstream-host-type", "local", "--local-base-directory", filepath.Join(w.dir, "mirrors"), "--listen", address)
		var log bytes.Buffer
		core.Env, core.Stderr = w.env, &log
		if err := core.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = core.Process.Signal(syscall.SIGTERM)
			if err := core.Wait(); err != nil || t.Failed() {
				t.Errorf("core %d: %v\n%s", i, err, log.String())
			}
		})
	}
	for i := range 2 {
		w.await(func() bool {
			status, text := w.ask(i, w.admin, http.MethodGet, "/1.0/list-queue", "")
			return status == http.StatusOK && strings.Contains(text, "m/one")
		})
	}
	return w
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// token runs a command that shows a token.
func (w *twoCores) token(name string, args ...string) string {
	w.Helper()
	cmd := exec.Command(filepath.Join(binDir, name), args...)
	if cmd.Env = w.env; w.admin != "" {
		cmd.Env = append(os.Environ(), "LORRY_TOKEN="+w.admin)
	}
	var wrong bytes.Buffer
	cmd.Stderr = &wrong
	out, err := cmd.Output()
	if err != nil {
		w.Fatalf("%s %v: %v\n%s", name, args, err, wrong.String())
	}
	return strings.TrimSpace(string(out))
}

// ask makes a request to a core; a core that does not answer has status 0.
func (w *twoCores) ask(at int, token, method, path, body string) (int, string) {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, w.url[at]+path, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if strings.HasPrefix(body, "{") {
		r.Header.Set("Content-Type", "application/json")
	} else if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	answer, err := w.client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err.Error()
	}
	return answer.StatusCode, string(text)
}

func (w *twoCores) want(at int, token, method, path, body string, status int, part string) {
	w.Helper()
	if got, text := w.ask(at, token, method, path, body); got != status || !strings.Contains(text, part) {
		w.Errorf("%s %s at core %d: want %d and %q, got %d\n%s", method, path, at, status, part, got, text)
	}
}

// await asks again and again until a condition holds.
func (w *twoCores) await(holds func() bool) {
	w.Helper()
	end := time.NewTimer(patience)
	defer end.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-end.C:
			w.Fatal("it never came true")
		}
	}
}

// TestTwoCoresShareTokensAndProgress revokes tokens at one core and uses them at
// the other, where a job of theirs runs, a stream is open and a minion waits.
func TestTwoCoresShareTokensAndProgress(t *testing.T) {
	t.Parallel()
	w := startTwoCores(t)
	viewer := w.token("lorryctl", "token", "create", "--addr", w.url[0], "--role", "viewer", "--name", "v")
	minion := w.token("lorryctl", "token", "create", "--addr", w.url[0], "--role", "minion", "--name", "m")

	// What is made at one is known at the other, and so is how far a job is.
	w.want(1, minion, http.MethodPost, "/1.0/give-me-job", "host=box&pid=1", http.StatusOK, `"job_id":1`)
	w.want(1, minion, http.MethodPost, "/1.0/job-update", `{"job_id": 1, "exit": "no", "progress": {"phase": "Receiving objects", "done": 1, "total": 4}}`, http.StatusOK, `"kill":false`)
	w.want(0, viewer, http.MethodGet, "/1.0/job/1", "", http.StatusOK, `"text":"Receiving objects: 25% (1 of 4)"`)

	ended := make(chan struct{}, 2)
	for _, open := range []struct {
		token, method, path, body string
		status                    int // of the answer, which has begun already or comes now
	}{
		{viewer, http.MethodGet, "/1.0/events", "", http.StatusOK},
		{minion, http.MethodPost, "/1.0/give-me-job", "host=box&pid=1&wait=60&version=2", http.StatusUnauthorized},
	} {
		go func() {
			defer func() { ended <- struct{}{} }()
			if status, text := w.ask(1, open.token, open.method, open.path, open.body); status != open.status {
				w.Errorf("%s: %d %s", open.path, status, text)
			}
		}()
	}
	for _, name := range []string{"v", "m"} {
		w.token("lorryctl", "token", "revoke", "--addr", w.url[0], name)
	}
	// At once where it was revoked, soon everywhere, and for what is open too.
	w.want(0, viewer, http.MethodGet, "/1.0/status", "", http.StatusUnauthorized, "this token was revoked")
	w.want(0, minion, http.MethodPost, "/1.0/give-me-job", "host=box&pid=1", http.StatusUnauthorized, "this token was revoked")
	for _, token := range []string{viewer, minion} {
		w.await(func() bool {
			status, _ := w.ask(1, token, http.MethodGet, "/1.0/status", "")
			return status == http.StatusUnauthorized
		})
	}
	w.want(1, minion, http.MethodPost, "/1.0/job-update", "job_id=1&exit=0", http.StatusUnauthorized, "this token was revoked")
	<-ended
	<-ended
	w.want(0, w.admin, http.MethodGet, "/1.0/job/1", "", http.StatusOK, `"state":"running"`)
}
