package importer

import (
	"context"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/tool"
)

// TestFailuresOfUpstream runs the whole importer, after a good run, against
// what goes wrong upstream: each has its kind, and nothing downstream or in the
// working area changes.
func TestFailuresOfUpstream(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		url   func(t *testing.T, w *world) string
		kind  core.FailureKind
		cause string
	}{
		{"404", func(t *testing.T, _ *world) string { return gittest.Status(t, 404).URL + "/thing.git" }, core.FailGone, "404"},
		{"401", func(t *testing.T, _ *world) string { return gittest.Status(t, 401).URL + "/thing.git" }, core.FailAuth, "401"},
		{"403", func(t *testing.T, _ *world) string { return gittest.Status(t, 403).URL + "/thing.git" }, core.FailAuth, "403"},
		{"429", func(t *testing.T, _ *world) string { return gittest.Status(t, 429).URL + "/thing.git" }, core.FailRateLimited, "429"},
		{"500", func(t *testing.T, _ *world) string { return gittest.Status(t, 503).URL + "/thing.git" }, core.FailNetwork, "503"},
		{"page of one line", func(t *testing.T, _ *world) string { return gittest.Page(t, "<html>login</html>").URL + "/thing.git" }, core.FailNotGit, "text/html"},
		{"page", func(t *testing.T, _ *world) string {
			return gittest.Page(t, "<html>\n<body>login\n").URL + "/thing.git"
		}, core.FailNotGit, "text/html"},
		{"redirect", func(t *testing.T, w *world) string {
			return gittest.Redirect(t, gittest.NewServer(t, filepath.Join(w.dir, "up")).URL).URL + "/thing.git"
		}, core.FailGone, "has moved to http://127.0.0.1"},
		{"nobody listens", func(t *testing.T, _ *world) string {
			s := gittest.Status(t, 200)
			s.Close()
			return s.URL + "/thing.git"
		}, core.FailNetwork, "refused"},
		{"untrusted certificate", func(t *testing.T, w *world) string {
			return gittest.NewTLSServer(t, filepath.Join(w.dir, "up")).URL + "/thing.git"
		}, core.FailTLS, "certificate"},
		{"no such host", func(*testing.T, *world) string { return "https://no-such-host.invalid/thing.git" }, core.FailNetwork, ""},
		{"no such path", func(_ *testing.T, w *world) string { return filepath.Join(w.dir, "up", "gone.git") }, core.FailGone, "does not appear to be a git repository"},
		{"no such path by URL", func(_ *testing.T, w *world) string { return "file://" + filepath.Join(w.dir, "up", "gone.git") }, core.FailGone, ""},
		{"not git", func(_ *testing.T, w *world) string { return w.dir }, core.FailGone, ""},
		{"git port closed", func(*testing.T, *world) string { return "git://127.0.0.1:1/thing.git" }, core.FailNetwork, ""},
		{"missing object", func(t *testing.T, w *world) string {
			broken := gittest.Seed(t, filepath.Join(w.dir, "up", "broken.git"))
			broken.Commit("refs/heads/main", "fourth")
			tree := broken.Git("rev-parse", "refs/heads/main^{tree}")
			removeObject(t, broken, tree)
			return broken.Dir
		}, core.FailCorrupt, ""},
		{"tree with .git in it", func(t *testing.T, w *world) string { return hostile(t, filepath.Join(w.dir, "up", "hostile.git")) }, core.FailCorrupt, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.mustRun()
			down, local := w.down.Refs(), w.area().Refs()
			w.opts.Spec.Access.URL = test.url(t, w)
			report := w.mustFail(test.kind)
			if !strings.Contains(report.Failure.Cause, test.cause) || report.Failure.Hint == "" || strings.Contains(report.Failure.Cause, "\n") {
				t.Errorf("got %+v", report.Failure)
			}
			if diff := cmp.Diff(down, w.down.Refs()); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(local, w.area().Refs()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// removeObject makes a repository lack one object: all are unpacked first.
func removeObject(t *testing.T, r *gittest.Repo, object string) {
	t.Helper()
	packs, err := filepath.Glob(filepath.Join(r.Dir, "objects", "pack", "*.pack"))
	if err != nil {
		t.Fatal(err)
	}
	for _, pack := range packs {
		moved := filepath.Join(t.TempDir(), filepath.Base(pack))
		if err := os.Rename(pack, moved); err != nil {
			t.Fatal(err)
		}
		_ = os.Remove(strings.TrimSuffix(pack, ".pack") + ".idx")
		in, err := os.Open(moved)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("git", "--git-dir="+r.Dir, "unpack-objects", "-q")
		cmd.Stdin, cmd.Env = in, gittest.Env()
		out, err := cmd.CombinedOutput()
		_ = in.Close()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	if err := os.Remove(filepath.Join(r.Dir, "objects", object[:2], object[2:])); err != nil {
		t.Fatal(err)
	}
}

// hostile makes a repository whose tree has a file ".git/config".
func hostile(t *testing.T, dir string) string {
	t.Helper()
	r := gittest.Seed(t, dir)
	run := func(stdin string, args ...string) string {
		cmd := exec.Command("git", append([]string{"--git-dir=" + dir}, args...)...)
		cmd.Stdin, cmd.Env = strings.NewReader(stdin), gittest.Env()
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	blob := run("[core]\n", "hash-object", "-w", "--stdin")
	sub := run("100644 blob "+blob+"\tconfig\n", "mktree")
	tree := run("040000 tree "+sub+"\t.git\n", "mktree")
	commit := run("", "commit-tree", "-m", "hostile", tree)
	r.Git("update-ref", "refs/heads/hostile", commit)
	return dir
}

func TestServerThatHangs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.Spec.Access.URL = gittest.Hang(t).URL + "/thing.git"
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if report := w.runIn(ctx); report.Failure.Kind != core.FailTimeout || report.Exit != ExitFailed {
		t.Errorf("got %+v", report)
	}
	stopped, stop := context.WithCancelCause(t.Context())
	stop(ErrStopped)
	if report := w.runIn(stopped); report.Failure.Kind != core.FailKilled || report.Exit != ExitStopped {
		t.Errorf("got %+v", report)
	}
}

// TestTransferThatStalls answers the listing and then nothing.
func TestTransferThatStalls(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := gittest.NewServer(t, filepath.Join(w.dir, "up"))
	w.opts.Spec.Access.URL = gittest.Stall(t, s).URL + "/thing.git"
	report := w.mustFail(core.FailNetwork)
	if !strings.Contains(report.Failure.Cause, "too slow") && !strings.Contains(report.Failure.Cause, "timed out") {
		t.Errorf("got %+v", report.Failure)
	}
}

func TestCredentialsReachTheirHostAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	up := gittest.NewServer(t, filepath.Join(w.dir, "up"))
	up.User, up.Password = "reader", "up-s3cret-word"
	down := gittest.NewServer(t, filepath.Join(w.dir, "down"))
	down.User, down.Password = "pusher", "down-s3cret-word"
	w.opts.Verbose = true
	w.opts.Request.Fetch = &protocol.Access{URL: up.URL + "/thing.git", Username: up.User, Secret: up.Password}
	w.opts.Request.Push = &protocol.Access{URL: down.URL + "/group/thing.git", Username: down.User, Secret: down.Password}
	report := w.mustRun()
	w.mustEqual()
	w.opts.Request.Push.Secret = "wrong-s3cret-word"
	w.up.Commit("refs/heads/main", "more")
	failed := w.mustFail(core.FailAuth)
	all := w.out.String() + report.Failure.Cause + failed.Failure.Cause + failed.Failure.Hint
	for _, secret := range []string{up.Password, down.Password, "wrong-s3cret-word"} {
		for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte("reader:" + secret)), base64.StdEncoding.EncodeToString([]byte("pusher:" + secret))} {
			if strings.Contains(all, form) {
				t.Errorf("%q is in the output:\n%s", form, all)
			}
		}
	}
}

func TestMissingGit(t *testing.T) {
	t.Parallel()
	_, err := childproc.NewGit(childproc.GitOptions{Home: t.TempDir(), Path: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "apt install git") {
		t.Errorf("got %v", err)
	}
}

func TestDownstreamRefusesOneRef(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	down := gittest.NewServer(t, filepath.Join(w.dir, "down"))
	hook := "#!/bin/sh\ncase \"$1\" in refs/heads/next) echo 'no such branch here' >&2; exit 1;; esac\n"
	if err := os.MkdirAll(filepath.Join(w.down.Dir, "hooks"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(w.down.Dir, "hooks", "update"), []byte(hook), 0o755); err != nil {
		t.Fatal(err)
	}
	w.opts.Request.Push = &protocol.Access{URL: down.URL + "/group/thing.git"}
	report := w.mustFail(core.FailRefused)
	want := map[string]string{"refs/heads/main": "new", "refs/heads/next": "rejected", "refs/tags/light": "new", "refs/tags/v1": "new"}
	if diff := cmp.Diff(want, refStatus(report)); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(report.Failure.Cause, "refs/heads/next: hook declined") {
		t.Errorf("got %q", report.Failure.Cause)
	}
}

func TestDownstreamGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.Request.Push.URL = filepath.Join(w.dir, "down", "no-such.git")
	w.mustFail(core.FailGone)
	w.opts.Request.Push.URL = gittest.Page(t, "<html>login</html>\n<body>\n").URL + "/x"
	w.mustFail(core.FailNotGit)
}

func TestDiskFull(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		tool.Missing(t, "only root can mount a small file system", "all")
	}
	for _, test := range []struct{ name, where string }{{"working area", "work"}, {"downstream", "down"}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			dir := filepath.Join(w.dir, "small")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=3m"); err != nil {
				t.Skipf("cannot mount: %v", err)
			}
			t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
			switch test.where {
			case "work":
				w.opts.WorkingArea = filepath.Join(dir, "work")
			case "down":
				w.down = gittest.NewRepo(t, filepath.Join(dir, "down.git"))
				w.opts.Request.Push.URL = w.down.Dir
			}
			w.mustRun()
			before := w.down.Refs()
			big := w.up.CommitFile("refs/heads/main", "big", incompressible(6<<20))
			w.mustFail(core.FailDisk)
			if diff := cmp.Diff(before, w.down.Refs()); diff != "" {
				t.Error(diff)
			}
			w.down.Fsck()
			// Once there is room, it goes on by itself.
			if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=64m"); err != nil {
				t.Fatal(err)
			}
			w.mustRun()
			w.mustEqual()
			if w.down.Refs()["refs/heads/main"] != big {
				t.Error("the big commit is not there")
			}
		})
	}
}

func incompressible(n int) []byte {
	data := make([]byte, n)
	x := uint64(88172645463325252)
	for i := range data {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		data[i] = byte(x)
	}
	return data
}

func TestDamagedWorkingCopyIsMadeAnew(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		damage func(t *testing.T, dir string)
	}{
		{"no objects", func(t *testing.T, dir string) {
			if err := os.RemoveAll(filepath.Join(dir, "objects", "pack")); err != nil {
				t.Fatal(err)
			}
		}},
		{"no HEAD", func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "HEAD")); err != nil {
				t.Fatal(err)
			}
		}},
		{"an empty directory", func(t *testing.T, dir string) {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.mustRun()
			test.damage(t, w.area().Dir)
			w.up.Commit("refs/heads/main", "more")
			w.mustRun()
			w.mustEqual()
			w.area().Fsck()
		})
	}
}

// TestUnreadableListing holds that git ls-remote is read by the same rules as
// the listing in process.
func TestListingsAgree(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := gittest.NewServer(t, filepath.Join(w.dir, "up"))
	byGit, err := w.opts.Reader.Read(t.Context(), core.Access{URL: w.up.Dir}, lsrefs.Options{})
	if err != nil {
		t.Fatal(err)
	}
	byHTTP, err := w.opts.Reader.Read(t.Context(), core.Access{URL: s.URL + "/thing.git"}, lsrefs.Options{Prefixes: []string{"refs/heads/", "refs/tags/"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(byGit, byHTTP); diff != "" {
		t.Error(diff)
	}
	if byGit.Digest("") != byHTTP.Digest("") || byGit.Head != "refs/heads/main" || len(byGit.Refs) != 4 {
		t.Errorf("got %+v", byGit)
	}
}
