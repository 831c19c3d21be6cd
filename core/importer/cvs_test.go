package importer

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/spec"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// cvsWorld is a world with a CVS repository and a checkout of its module.
type cvsWorld struct {
	*world
	root, checkout string
}

func newCvsWorld(t *testing.T) *cvsWorld {
	t.Helper()
	for _, program := range []string{"cvs", "cvsps"} {
		gittest.Require(t, program)
	}
	if _, err := os.Stat("/usr/lib/git-core/git-cvsimport"); err != nil {
		gittest.Require(t, "git-cvsimport")
	}
	w := &cvsWorld{world: newWorld(t)}
	w.root, w.checkout = filepath.Join(w.dir, "cvsroot"), filepath.Join(w.dir, "mod")
	w.cvs(w.dir, "init")
	if err := os.Mkdir(filepath.Join(w.root, "mod"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.cvs(w.dir, "co", "mod")
	w.opts.Spec = spec.Spec{Name: "group/thing", Type: spec.Cvs, Access: core.Access{URL: w.root}, Module: "mod"}
	return w
}

func (w *cvsWorld) cvs(dir string, args ...string) {
	w.t.Helper()
	cmd := exec.Command("cvs", append([]string{"-Q", "-f", "-d", w.root}, args...)...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.t.TempDir(), "LC_ALL=C", "TZ=UTC", "LOGNAME=ann", "USER=ann"}
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("cvs %v: %v: %s", args, err, out)
	}
}

// commit writes a file and commits it.
func (w *cvsWorld) commit(file, text, message string) {
	w.t.Helper()
	path := filepath.Join(w.checkout, file)
	_, err := os.Stat(path)
	if werr := os.WriteFile(path, []byte(text), 0o644); werr != nil {
		w.t.Fatal(werr)
	}
	if os.IsNotExist(err) {
		w.cvs(w.checkout, "add", file)
	}
	w.cvs(w.checkout, "commit", "-f", "-m", message, file)
}

// age makes everything that is in the repository older by a time: CVS itself
// knows no other time than now.
func (w *cvsWorld) age(by time.Duration) {
	w.t.Helper()
	w.redate(func(at time.Time) time.Time { return at.Add(-by) })
}

// redate gives every revision another time.
func (w *cvsWorld) redate(to func(time.Time) time.Time) {
	w.t.Helper()
	var files []string
	for _, place := range []string{"*,v", "Attic/*,v", "sub/*,v", "sub/Attic/*,v"} {
		some, err := filepath.Glob(filepath.Join(w.root, "mod", place))
		if err != nil {
			w.t.Fatal(err)
		}
		files = append(files, some...)
	}
	if len(files) == 0 {
		w.t.Fatal("the module is empty")
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			w.t.Fatal(err)
		}
		var b strings.Builder
		for line := range strings.Lines(string(text)) {
			if rest, ok := strings.CutPrefix(line, "date"); ok && strings.ContainsAny(rest[:1], "\t ") {
				stamp, tail, _ := strings.Cut(strings.TrimLeft(rest, "\t "), ";") // cvs import writes blanks
				at, err := time.Parse("2006.01.02.15.04.05", stamp)
				if err != nil {
					w.t.Fatal(err)
				}
				line = "date\t" + to(at).Format("2006.01.02.15.04.05") + ";" + tail
			}
			b.WriteString(line)
		}
		if err := os.Chmod(path, 0o644); err != nil {
			w.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(b.String()), 0o444); err != nil {
			w.t.Fatal(err)
		}
	}
}

func TestCvsModule(t *testing.T) {
	t.Parallel()
	w := newCvsWorld(t)
	w.commit("a", "one $Id$\n", "first \xe4")
	w.commit("gone", "x\n", "soon gone")
	w.age(time.Hour)
	w.cvs(w.checkout, "tag", "v1")
	w.cvs(w.checkout, "tag", "v1_again")
	w.cvs(w.checkout, "tag", "-b", "rel_1")
	w.cvs(w.checkout, "update", "-r", "rel_1")
	w.commit("a", "branch\n", "on the branch")
	w.cvs(w.checkout, "update", "-A")
	w.commit("a", "two\n", "second")
	if err := os.Remove(filepath.Join(w.checkout, "gone")); err != nil {
		t.Fatal(err)
	}
	w.cvs(w.checkout, "remove", "gone")
	w.cvs(w.checkout, "commit", "-m", "dead", "gone")
	w.age(time.Hour)
	report := w.mustRun()
	refs := w.down.Mirrored()
	if diff := cmp.Diff([]string{"refs/heads/master", "refs/heads/rel_1", "refs/tags/v1", "refs/tags/v1_again"}, refNames(refs)); diff != "" || report.Head != "refs/heads/master" {
		t.Errorf("%s, head %q\n%s", diff, report.Head, w.out)
	}
	for ref, want := range map[string]string{"master": "a", "rel_1": "a\ngone", "v1": "a\ngone", "v1_again": "a\ngone"} {
		if got := w.down.Git("ls-tree", "-r", "--name-only", ref); got != want {
			t.Errorf("%s has %q", ref, got)
		}
	}
	if got := w.down.Git("show", "rel_1:a") + w.down.Git("show", "master:a") + w.down.Git("log", "-1", "--format=%an <%ae>", "master"); got != "branchtwoann <ann>" {
		t.Errorf("got %q", got)
	}
	w.down.Fsck()
	w.opts.Request.Digest = report.Digest
	if looked, same := Look(t.Context(), w.opts); !same || !looked.Unchanged {
		t.Errorf("got %+v", looked)
	}

	// Later revisions are added to the last import, and give what a fresh one gives.
	w.commit("a", "three\n", "third")
	w.commit("new", "n\n", "a new file")
	w.mustRun()
	if !strings.Contains(w.out.String(), ".. adding 2 revisions") {
		t.Errorf("they were not added:\n%s", w.out)
	}
	w.mustBeAsFresh()
	// One in the same second as the last of them would be lost in what is added.
	w.commit("a", "four\n", "at once")
	w.mustRun()
	if got := w.down.Git("show", "master:a"); got != "four" || strings.Count(w.out.String(), ".. importing all revisions") != 2 {
		t.Errorf("got %q\n%s", got, w.out)
	}
	// A new tag on old revisions needs a fresh import.
	w.cvs(w.checkout, "rtag", "-r", "v1", "v1_late", "mod")
	w.cvs(w.checkout, "tag", "v2")
	w.mustRun()
	got := w.down.Mirrored()
	if got["refs/tags/v1_late"] != refs["refs/tags/v1"] || got["refs/tags/v2"] != got["refs/heads/master"] || w.down.Git("merge-base", "--is-ancestor", refs["refs/heads/master"], "master") != "" {
		t.Errorf("got %v", got)
	}
	w.mustBeAsFresh()
	if list, err := os.ReadDir(filepath.Join(w.dir, "home")); err == nil {
		for _, e := range list {
			if strings.HasPrefix(e.Name(), ".cvsps") {
				t.Error("cvsps kept something in the shared home")
			}
		}
	}
}

// mustBeAsFresh compares downstream with an import that starts from nothing.
func (w *cvsWorld) mustBeAsFresh() {
	w.t.Helper()
	fresh := newWorld(w.t)
	fresh.opts.Spec = w.opts.Spec
	fresh.opts.Request.FileRoots = append(fresh.opts.Request.FileRoots, w.dir)
	fresh.mustRun()
	if diff := cmp.Diff(fresh.down.Mirrored(), w.down.Mirrored()); diff != "" {
		w.t.Errorf("a fresh import is another (-fresh +this): %s", diff)
	}
}

func TestCvsFaults(t *testing.T) {
	t.Parallel()
	w := newCvsWorld(t)
	w.mustFail(core.FailEmpty)
	w.commit("a", "one\n", "first")
	w.age(time.Hour)
	w.mustRun()
	good, module := w.down.Mirrored(), w.opts.Spec.Module
	for name, test := range map[string]struct {
		root, module string
		kind         core.FailureKind
	}{
		"no root":   {filepath.Join(w.dir, "none"), module, core.FailGone},
		"no cvs":    {w.up.Dir, module, core.FailGone},
		"no module": {w.root, "none", core.FailGone},
		"no server": {":pserver:anonymous@127.0.0.1:1/cvs", module, core.FailNetwork},
		"elsewhere": {"/usr", module, core.FailSpec},
		"dead end":  {":ext:nobody@127.0.0.1:/cvs", module, core.FailNetwork},
	} {
		w.opts.Spec.Access.URL, w.opts.Spec.Module = test.root, test.module
		report := w.run()
		if report.Failure.Kind != test.kind || report.Failure.Hint == "" {
			t.Errorf("%s: want %q, got %+v", name, test.kind, report.Failure)
		}
		if diff := cmp.Diff(good, w.down.Mirrored()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	w.opts.Spec.Access.URL, w.opts.Spec.Module = w.root, module
	// What a dead run leaves is no reason to fail.
	state := filepath.Join(w.opts.WorkingArea, "group_thing", "cvs")
	for _, path := range []string{filepath.Join(state, "tree", ".git", "index.lock"), filepath.Join(state, "tree", ".git", "refs", "remotes", "cvs", "trunk.of.cvs.lock")} {
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	w.commit("a", "two\n", "second")
	w.mustRun()
	if got := w.down.Git("show", "master:a"); got != "two" {
		t.Errorf("got %q", got)
	}
	// A repository can hold what no client would add, and git leaves out.
	w.commit("b", "[core]\n", "evil")
	if err := os.Mkdir(filepath.Join(w.root, "mod", ".git"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(w.root, "mod", "b,v"), filepath.Join(w.root, "mod", ".git", "config,v")); err != nil {
		t.Fatal(err)
	}
	w.mustRun()
	if !strings.Contains(w.out.String(), "warning: Ignoring path .git/config") || w.down.Git("ls-tree", "-r", "--name-only", "master") != "a" {
		t.Errorf("got %s\n%s", w.down.Git("ls-tree", "-r", "master"), w.out)
	}
	w.cvs(w.checkout, "tag", "-b", "master", "a")
	w.mustFail(core.FailSpec)
}

// TestCvsServers reads a module over pserver and over ssh.
func TestCvsServers(t *testing.T) {
	t.Parallel()
	w := newCvsWorld(t)
	w.commit("a", "one\n", "first")
	// The server lets nobody in who would be root there.
	as := account()
	if as == "root" {
		as = "nobody"
	}
	if err := os.WriteFile(filepath.Join(w.root, "CVSROOT", "passwd"), []byte("ali:abNANd1rDfiNc:"+as+"\nanonymous:"+":"+as+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	open := func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(path, 0o777)
		}
		return err
	}
	if err := filepath.WalkDir(w.root, open); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{w.dir, filepath.Dir(w.dir)} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	port := pserver(t, w.root)
	at := func(user string) core.Access {
		return core.Access{URL: fmt.Sprintf(":pserver:%s@127.0.0.1:%d%s", user, port, w.root)}
	}
	w.opts.Spec.Access = at("anonymous")
	w.mustRun()
	want := w.down.Mirrored()

	w.opts.Spec.Access = at("ali")
	w.opts.Spec.Access.Username, w.opts.Spec.Access.Secret = "ali", core.NewSecret("secret")
	w.opts.Spec.InsecureCredentials = true
	w.opts.Request.Digest = ""
	if err := os.RemoveAll(w.opts.WorkingArea); err != nil {
		t.Fatal(err)
	}
	w.mustRun()
	// Without a word on it, the password is not sent in the open.
	w.opts.Spec.InsecureCredentials = false
	w.mustFail(core.FailAuth)

	sshPort, keys, known := sshServer(t)
	git, err := childproc.NewGit(childproc.GitOptions{Home: filepath.Join(w.dir, "ssh-home"), SSHDir: keys, Grace: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	// A CVSROOT knows no port for ssh.
	if err := os.WriteFile(filepath.Join(keys, "config"), fmt.Appendf(nil, "Host 127.0.0.1\nPort %d\n", sshPort), 0o600); err != nil {
		t.Fatal(err)
	}
	w.opts.Git, w.opts.Reader = git, lsrefs.NewReader(git)
	t.Cleanup(w.opts.Reader.Close)
	w.opts.Spec.Access = core.Access{URL: account() + "@127.0.0.1:" + w.root, KnownHosts: known}
	w.mustRun()
	w.opts.Spec.Access.URL = ":ext:" + account() + "@127.0.0.1:" + w.root
	w.mustRun()
	if diff := cmp.Diff(want, w.down.Mirrored()); diff != "" {
		t.Error(diff)
	}
	w.opts.Spec.Access.KnownHosts = "example.org " + strings.SplitN(known, " ", 2)[1]
	w.mustFail(core.FailHostKey)
}

// account is the user that runs the test.
func account() string {
	if os.Geteuid() == 0 {
		return "root"
	}
	return os.Getenv("USER")
}

// pserver serves a CVS repository as inetd would, and gives the port.
func pserver(t *testing.T, root string) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	home := t.TempDir()
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f, err := c.(*net.TCPConn).File()
			_ = c.Close()
			if err != nil {
				continue
			}
			cmd := exec.Command("cvs", "-f", "--allow-root="+root, "pserver")
			cmd.Env, cmd.Stdin, cmd.Stdout = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home}, f, f
			// An import has more than one connection.
			running.Go(func() {
				_ = cmd.Run()
				_ = f.Close()
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		running.Wait()
	})
	return l.Addr().(*net.TCPAddr).Port
}
