package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// TestALateMinionIsRefused stops a minion in the middle of a job for longer than
// its lease, lets another one do the Lorry, and lets the first go on. Nothing that
// it says of its job is taken, and it goes on with the next.
func TestALateMinionIsRefused(t *testing.T) {
	t.Parallel()
	for _, database := range []string{"SQLite", "PostgreSQL"} {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			rounds := 3
			if os.Getenv("LORRY_TEST_SOAK") != "" {
				rounds = 100
			}
			upstream := newBarred(t)
			m := newMortal(t, database == "PostgreSQL")
			m.args = append(m.args, "--configuration-directory", m.dir, "--minions", "0", "--ghost-timeout", "4") // longer than a busy machine keeps a minion from reporting
			m.configure("1h", `{"one": {"type": "git", "url": "`+upstream.url+`/one.git"}}`)
			m.start()
			m.knows("m/one")
			late := m.startMinion()
			accepted := 0
			for round := range rounds {
				upstream.repo.Commit("refs/heads/main", strconv.Itoa(round))
				// The minion looks upstream itself, and so does lorry.
				reached, open := upstream.bar(1 + round%3)
				m.want(0, "", http.MethodPost, "/1.0/move-to-top", "path=m/one", http.StatusOK, "")
				<-reached
				id := m.running("m/one")
				late.signal(syscall.SIGSTOP)
				m.await(func() bool { return m.job(id).Exit == "lost" })
				m.doAsAnother("m/one")
				open()
				late.signal(syscall.SIGCONT)
				m.await(func() bool { return late.refused() > round })
				if got := m.job(id); got.Exit != "lost" {
					accepted++
				}
				if got := m.lorry("m/one"); got.LastRunExit != "0" || got.RunningJob != nil && *got.RunningJob == id {
					t.Errorf("round %d: the Lorry is %+v", round, got)
				}
			}
			t.Logf("%d rounds, stale completions accepted: %d", rounds, accepted)
			if accepted > 0 {
				t.Error("a late minion changed something")
			}
		})
	}
}

// job gives a job.
func (m *mortal) job(id core.JobID) (j struct{ Exit string }) {
	m.Helper()
	status, text := m.ask(0, "", http.MethodGet, fmt.Sprintf("/1.0/job/%d", id), "")
	if err := json.Unmarshal([]byte(text), &j); err != nil || status != http.StatusOK {
		m.Fatalf("job %d: %d %v %s", id, status, err, text)
	}
	return j
}

// running gives the job of a Lorry that runs.
func (m *mortal) running(path string) core.JobID {
	m.Helper()
	l := m.lorry(path)
	if l.RunningJob == nil {
		m.Fatalf("%s does not run: %+v", path, l)
	}
	return *l.RunningJob
}

// doAsAnother has another minion do a Lorry.
func (m *mortal) doAsAnother(path string) {
	m.Helper()
	_, text := m.ask(0, "", http.MethodPost, "/1.0/give-me-job", "version=2&wait=20&pid=1&host=another")
	var job protocol.Job
	if err := json.Unmarshal([]byte(text), &job); err != nil || job.JobID == nil || job.Path != path {
		m.Fatalf("want a job of %q, got %v, %s", path, err, text)
	}
	report, err := json.Marshal(protocol.Update{JobID: *job.JobID, Fence: job.Fence, Exit: "0", Stdout: "another\n"})
	if err != nil {
		m.Fatal(err)
	}
	m.want(0, "", http.MethodPost, "/1.0/job-update", string(report), http.StatusOK, "")
}

// minionProgram is a lorry-minion.
type minionProgram struct {
	*testing.T
	cmd *exec.Cmd

	mu  sync.Mutex
	log bytes.Buffer
}

// Write implements io.Writer for what it logs.
func (p *minionProgram) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.Write(b)
}

func (m *mortal) startMinion() *minionProgram {
	m.Helper()
	p := &minionProgram{T: m.T}
	p.cmd = exec.Command(filepath.Join(binDir, "lorry-minion"), "--no-default-configs", "--controller", m.url[0], "--lorry-working-area", filepath.Join(m.dir, "area"))
	p.cmd.Env, p.cmd.Stderr = append(os.Environ(), "PATH="+binDir+":"+os.Getenv("PATH")), p
	if err := p.cmd.Start(); err != nil {
		m.Fatal(err)
	}
	m.Cleanup(func() {
		p.signal(syscall.SIGCONT)
		p.signal(syscall.SIGTERM)
		if err := p.cmd.Wait(); err != nil || m.Failed() {
			m.Errorf("minion: %v\n%s", err, p.log.String())
		}
	})
	return p
}

func (p *minionProgram) signal(sig syscall.Signal) {
	p.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.Error(err)
	}
}

// refused is how often it was told that a job is no longer its own.
func (p *minionProgram) refused() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Count(p.log.String(), "given the job up") + strings.Count(p.log.String(), "gave the job up")
}

// barred is an upstream whose answer can be made to wait.
type barred struct {
	repo *gittest.Repo
	url  string

	mu      sync.Mutex
	left    int // requests until the one that waits
	reached chan struct{}
	opened  chan struct{}
}

func newBarred(t *testing.T) *barred {
	t.Helper()
	root := t.TempDir()
	b := &barred{repo: gittest.Seed(t, filepath.Join(root, "one.git"))}
	git, err := gittest.Backend(root)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if opened := b.arrive(); opened != nil {
			select {
			case <-opened:
			case <-t.Context().Done():
			}
		}
		git.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	b.url = server.URL
	return b
}

// bar lets the n-th request from now on wait until open is called; reached is
// closed when it has come.
func (b *barred) bar(n int) (reached <-chan struct{}, open func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left, b.reached, b.opened = n, make(chan struct{}), make(chan struct{})
	return b.reached, sync.OnceFunc(func() { close(b.opened) })
}

func (b *barred) arrive() (opened <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left--; b.left != 0 {
		return nil
	}
	close(b.reached)
	return b.opened
}
