package cli

import (
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// TestKilledWithItsPushDownstream kills every process of a run when the mirror
// has all refs, and the run has not heard of it. The next run knows the branches
// as its own: what upstream has deleted meanwhile goes, and nothing else.
func TestKilledWithItsPushDownstream(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]bool{"the first push": true, "a later push": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLorry(t)
			l.down.Git("config", "http.receivepack", "true")
			mirror := gittest.NewServer(t, filepath.Join(l.dir, "down"))
			var armed atomic.Bool // the next push ends its run
			run := make(chan *exec.Cmd, 1)
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/git-receive-pack") || !armed.Swap(false) {
					mirror.ServeHTTP(w, r)
					return
				}
				mirror.ServeHTTP(httptest.NewRecorder(), r)
				cmd := <-run
				for _, pid := range append(descendants(cmd.Process.Pid), cmd.Process.Pid) {
					_ = syscall.Kill(pid, syscall.SIGKILL)
				}
			}))
			t.Cleanup(front.Close)
			l.spec("thing.lorry", `{"group/thing": {"type": "git", "url": "`+l.up.Dir+`", "prune": true}}`)
			args := []string{"--working-area", "work", "--mirror-base-url-push", front.URL, "--lock-wait", "20", "thing.lorry"}
			if !first {
				l.mustRun(args...)
			}
			l.up.Commit("refs/heads/new", "will go")
			l.up.Commit("refs/heads/next", "goes on, and will go")
			want := l.up.Mirrored()
			armed.Store(true)
			cmd := l.command(args...)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			run <- cmd
			_ = cmd.Wait()
			if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
				t.Fatalf("the run has ended by itself: %v", cmd.ProcessState)
			}
			if diff := cmp.Diff(want, l.down.Mirrored()); diff != "" {
				t.Fatalf("the push did not arrive: %s", diff)
			}
			want["refs/heads/theirs"] = l.down.Commit("refs/heads/theirs", "somebody else's")
			for _, ref := range []string{"refs/heads/new", "refs/heads/next"} {
				l.up.Git("update-ref", "-d", ref)
				delete(want, ref)
			}
			l.mustRun(args...)
			if diff := cmp.Diff(want, l.down.Mirrored()); diff != "" {
				t.Error(diff)
			}
			l.mustBeClean(nil, l.down.Dir)
		})
	}
}
