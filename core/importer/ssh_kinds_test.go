package importer

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/spec"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// TestOtherKindsOverSSH: hg, svn and bzr go by the same keys and known hosts as
// git, and give the same commits as from disk.
func TestOtherKindsOverSSH(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"hg", "svn", "svnserve", "brz"} {
		gittest.Require(t, program)
	}
	if _, err := exec.Command("git", "svn", "--version").Output(); err != nil {
		gittest.Require(t, "git-svn")
	}
	port, keys, known := sshServer(t)
	// svn and brz know no other way to tell ssh the port of a test.
	if err := os.WriteFile(filepath.Join(keys, "config"), fmt.Appendf(nil, "Host 127.0.0.1\nPort %d\n", port), 0o600); err != nil {
		t.Fatal(err)
	}
	for kind, make := range map[spec.Type]func(w *world, dir string) (address string){
		spec.Hg: func(_ *world, dir string) string {
			runTool(t, "/", "hg", "init", dir)
			runTool(t, dir, "hg", "commit", "-q", "-u", "ann", "-m", "first", "--config", "ui.allowemptycommit=1")
			runTool(t, dir, "hg", "bookmark", "feature")
			runTool(t, dir, "hg", "commit", "-q", "-u", "ann", "-m", "more", "--config", "ui.allowemptycommit=1")
			return fmt.Sprintf("ssh://%s@127.0.0.1/%s", account(), dir)
		},
		spec.Svn: func(_ *world, dir string) string {
			runTool(t, "/", "svnadmin", "create", dir)
			runTool(t, "/", "svn", "mkdir", "-q", "-m", "layout", "file://"+dir+"/trunk", "file://"+dir+"/branches", "file://"+dir+"/tags")
			return fmt.Sprintf("svn+ssh://%s@127.0.0.1%s", account(), dir)
		},
		spec.Bzr: func(_ *world, dir string) string {
			bzr(t, filepath.Dir(dir), "init", "-q", dir)
			bzrCommit(t, dir, "a", "one\n", "first")
			return fmt.Sprintf("bzr+ssh://%s@127.0.0.1%s", account(), dir)
		},
	} {
		t.Run(string(kind), func(t *testing.T) {
			w := newWorld(t)
			dir := filepath.Join(w.dir, "other")
			address := make(w, dir)
			w.opts.Spec = spec.Spec{Name: "group/thing", Type: kind, Access: core.Access{URL: "file://" + dir}, Bookmarks: true}
			w.mustRun()
			want := w.down.Mirrored()
			if kind == spec.Hg && (want["refs/heads/feature"] == "" || len(want) != 2) {
				t.Errorf("got %v", want)
			}
			git, err := childproc.NewGit(childproc.GitOptions{Home: filepath.Join(w.dir, "ssh-home"), SSHDir: keys, Grace: time.Second})
			if err != nil {
				t.Fatal(err)
			}
			w.opts.Git, w.opts.Reader = git, lsrefs.NewReader(git)
			t.Cleanup(w.opts.Reader.Close)
			w.opts.WorkingArea = filepath.Join(w.dir, "work-ssh")
			w.opts.Spec.Access = core.Access{URL: address, KnownHosts: known}
			if kind == spec.Svn {
				// Commits of git svn name the address.
				w.opts.Spec.Refspecs = []string{"+refs/heads/*:refs/heads/ssh/*"}
			}
			w.mustRun()
			got := w.down.Mirrored()
			if kind == spec.Svn {
				if w.down.Git("rev-parse", "refs/heads/ssh/master^{tree}") != w.down.Git("rev-parse", "refs/heads/master^{tree}") {
					t.Errorf("got %v", got)
				}
			} else if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			w.opts.Spec.Access.KnownHosts = "example.org " + known[len("[127.0.0.1]:00000 "):]
			w.mustFail(core.FailHostKey)
		})
	}
}
