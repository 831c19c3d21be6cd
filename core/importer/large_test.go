package importer

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/spec"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// largeWorld is a world whose two sides are on one server with git-lfs.
type largeWorld struct {
	*world
	server *gittest.LFS
}

const (
	upName   = "up/thing.git"
	downName = "down/group/thing.git"
)

func newLargeWorld(t *testing.T) *largeWorld {
	t.Helper()
	w := &largeWorld{world: newWorld(t)}
	w.server = gittest.NewLFS(t, w.dir)
	w.server.User, w.server.Password = "ali", "opensesame"
	w.down.Git("config", "http.receivepack", "true")
	w.opts.Spec.Access = core.Access{URL: w.server.URL + "/" + upName, Username: "ali", Secret: core.NewSecret("opensesame")}
	w.opts.Request.Push = &protocol.Access{URL: w.server.URL + "/" + downName, Username: "ali", Secret: "opensesame"}
	w.up.CommitFile("refs/heads/main", "sub/.gitattributes", []byte("*.bin filter=lfs diff=lfs merge=lfs -text\n"))
	return w
}

// add puts a large file on upstream's main.
func (w *largeWorld) add(path, content string) {
	w.up.CommitFile("refs/heads/main", path, []byte(w.server.Put(upName, []byte(content))))
}

// mustHave compares the objects of both sides.
func (w *largeWorld) mustHave() {
	w.t.Helper()
	w.mustEqual()
	if diff := cmp.Diff(w.server.Objects(upName), w.server.Objects(downName)); diff != "" {
		w.t.Errorf("the objects differ (-up +down):\n%s\n%s", diff, w.out)
	}
}

func TestLargeFilesGoAlong(t *testing.T) {
	t.Parallel()
	w := newLargeWorld(t)
	for i := range 250 { // more than two requests' worth
		w.server.Put(upName, fmt.Appendf(nil, "content %d", i))
	}
	var many strings.Builder
	for i := range 250 {
		fmt.Fprintf(&many, "M 644 inline sub/%d.bin\ndata <<E\n%sE\n", i, gittest.LFSPointer(fmt.Appendf(nil, "content %d", i)))
	}
	w.up.Stdin("commit refs/heads/main\ncommitter C <c@example.com> 1700000100 +0000\ndata 4\nmany\nfrom refs/heads/main^0\n"+many.String(), "fast-import", "--quiet")
	w.server.Token = "one-transfer"
	report := w.mustRun()
	w.mustHave()
	if n := len(w.server.Objects(downName)); n != 250 {
		t.Errorf("%d objects arrived", n)
	}
	// git-lfs itself finds what was brought.
	gittest.Require(t, "git-lfs")
	clone := filepath.Join(w.dir, "clone")
	cmd := exec.Command("git", "-c", "filter.lfs.smudge=git-lfs smudge -- %f", "-c", "filter.lfs.required=true", "-c", "filter.lfs.process=git-lfs filter-process",
		"clone", "-q", "-b", "main", strings.Replace(w.server.URL, "://", "://ali:opensesame@", 1)+"/"+downName, clone)
	cmd.Env = append(gittest.Env(), "HOME="+w.dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if text, err := os.ReadFile(filepath.Join(clone, "sub", "7.bin")); err != nil || string(text) != "content 7" {
		t.Errorf("got %q, %v", text, err)
	}

	// Only what is new is looked at and asked for.
	before := len(w.server.Requests())
	w.add("sub/new.bin", "a new one")
	next := w.mustRun()
	w.mustHave()
	if diff := cmp.Diff([]string{"POST batch", "POST batch", "GET", "POST batch", "PUT", "POST verify"}, short(w.server.Requests()[before:])); diff != "" {
		t.Error(diff)
	}
	if report.Digest == next.Digest {
		t.Error("the digest is the same")
	}
	// A commit without large files asks nothing.
	before = len(w.server.Requests())
	w.up.Commit("refs/heads/main", "plain")
	w.mustRun()
	if got := w.server.Requests()[before:]; len(got) > 0 {
		t.Errorf("asked %v", got)
	}
}

// short leaves the objects' names out.
func short(requests []string) []string {
	var list []string
	for _, r := range requests {
		method, path, _ := strings.Cut(r, " ")
		if last := filepath.Base(path); len(last) != 64 {
			method += " " + last
		}
		list = append(list, method)
	}
	return list
}

// TestDownstreamThatLostItsObjects: a mirror that was made anew gets them again.
func TestDownstreamThatLostItsObjects(t *testing.T) {
	t.Parallel()
	w := newLargeWorld(t)
	w.add("sub/a.bin", "some content")
	w.mustRun()
	w.server.Forget(downName)
	for ref := range w.down.Refs() {
		w.down.Git("update-ref", "-d", ref)
	}
	w.opts.Request.Digest = ""
	w.mustRun()
	w.mustHave()
}

// TestPointersWithoutObjects: nothing is pushed that would be broken.
func TestPointersWithoutObjects(t *testing.T) {
	t.Parallel()
	w := newLargeWorld(t)
	w.add("sub/good.bin", "good")
	w.mustRun()
	good := w.down.Mirrored()
	w.up.CommitFile("refs/heads/main", "sub/lost.bin", []byte(gittest.LFSPointer([]byte("never uploaded"))))
	report := w.mustFail(core.FailLFS)
	if !strings.Contains(report.Failure.Cause, `"sub/lost.bin"`) || !strings.Contains(report.Failure.Hint, "lfs: no") {
		t.Errorf("got %+v", report.Failure)
	}
	if diff := cmp.Diff(good, w.down.Mirrored()); diff != "" {
		t.Errorf("downstream changed: %s", diff)
	}
	// Declined, the pointers alone are mirrored.
	w.opts.Spec.LFS = spec.LFSNo
	w.mustRun()
	w.mustEqual()
	// Wanted again, it is no success.
	w.opts.Spec.LFS = spec.LFSYes
	w.mustFail(core.FailLFS)
	w.server.Put(upName, []byte("never uploaded"))
	w.mustRun()
	w.mustHave()
}

// TestTroubleWithLargeFiles: what a server can do wrong, and what becomes of it.
func TestTroubleWithLargeFiles(t *testing.T) {
	t.Parallel()
	status := func(part string, code int) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.Method+" "+r.URL.Path, part) {
				return false
			}
			http.Error(w, "{}", code)
			return true
		}
	}
	once := func(do func(http.ResponseWriter, *http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
		var done atomic.Bool
		return func(w http.ResponseWriter, r *http.Request) bool {
			return !done.Load() && do(w, r) && !done.Swap(true)
		}
	}
	half := func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/info/lfs/") {
			return false
		}
		w.Header().Set("Content-Length", "12")
		_, _ = w.Write([]byte("some"))
		return true
	}
	other := func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/info/lfs/") {
			return false
		}
		_, _ = w.Write([]byte("SOME CONTENT"))
		return true
	}
	page := func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasSuffix(r.URL.Path, "/batch") {
			return false
		}
		_, _ = w.Write([]byte("<html>"))
		return true
	}
	for _, test := range []struct {
		name    string
		trouble func(http.ResponseWriter, *http.Request) bool
		kind    core.FailureKind
		cause   string
	}{
		{"no git-lfs downstream", status("POST /down/group/thing.git/info/lfs/objects/batch", 404), core.FailLFS, "downstream: its git-lfs server answered"},
		{"no git-lfs upstream", status("POST /up/thing.git/info/lfs/objects/batch", 501), core.FailLFS, "upstream: its git-lfs server answered"},
		{"wrong credential", status("/up/thing.git/info/lfs/objects/batch", 401), core.FailAuth, "401"},
		{"refused upload", status("PUT ", 403), core.FailAuth, "downstream"},
		{"too large", status("PUT ", 413), core.FailLFS, "413"},
		{"not arrived", status("/verify", 404), core.FailLFS, "did not get"},
		{"object gone", status("GET /up/thing.git/info/lfs", 404), core.FailLFS, "missing"},
		{"rate limit", func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("Retry-After", "3600")
			return status("/batch", 429)(w, r)
		}, core.FailRateLimited, "429"},
		{"other contents", other, core.FailLFS, "not what its pointer says"},
		{"page", page, core.FailLFS, "none of the batch API"},
		{"error that passes", once(status("GET /up/thing.git/info/lfs", 503)), core.FailNone, ""},
		{"half a body", once(half), core.FailNone, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newLargeWorld(t)
			w.mustRun()
			good := w.down.Mirrored()
			w.add("sub/a.bin", "some content")
			w.server.Trouble = test.trouble
			if test.kind == core.FailNone {
				w.mustRun()
				w.mustHave()
				return
			}
			report := w.mustFail(test.kind)
			if !strings.Contains(report.Failure.Cause, test.cause) || report.Failure.Hint == "" {
				t.Errorf("got %+v", report.Failure)
			}
			if diff := cmp.Diff(good, w.down.Mirrored()); diff != "" {
				t.Errorf("downstream changed: %s", diff)
			}
			w.server.Trouble = nil
			w.mustRun()
			w.mustHave()
		})
	}
}

// TestTransfersElsewhere: where the batch API leads to another host, the
// credential stays with its own.
func TestTransfersElsewhere(t *testing.T) {
	t.Parallel()
	w := newLargeWorld(t)
	var leaked atomic.Pointer[string]
	other := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if _, password, ok := r.BasicAuth(); ok || strings.Contains(r.URL.String(), "opensesame") {
			leaked.Store(&password)
		}
		copied := r.Clone(r.Context())
		copied.SetBasicAuth("ali", "opensesame")
		w.server.ServeHTTP(out, copied)
	}))
	defer other.Close()
	// Another name for this machine is another host.
	w.server.Elsewhere = strings.Replace(other.URL, "127.0.0.1", "localhost", 1)
	w.add("sub/a.bin", "some content")
	w.mustRun()
	w.mustHave()
	if got := leaked.Load(); got != nil {
		t.Error("the credential went to another host")
	}
}

// TestLargeFilesOnDisk brings objects between repositories on this machine, and
// without pushing.
func TestLargeFilesOnDisk(t *testing.T) {
	t.Parallel()
	w := newLargeWorld(t)
	w.add("sub/a.bin", "some content")
	w.opts.PullOnly = true
	w.mustRun()
	object := filepath.Join("lfs", "objects", "29", "0f", "290f493c44f5d63d06b374d0a5abd292fae38b92cab2fae5efefe1b0e9347f56")
	if _, err := os.Stat(filepath.Join(w.area().Dir, object)); err != nil {
		t.Error(err)
	}
	w.opts.PullOnly = false
	w.opts.Request.Push = &protocol.Access{URL: w.down.Dir}
	w.mustRun()
	w.mustEqual()
	if text, err := os.ReadFile(filepath.Join(w.down.Dir, object)); err != nil || string(text) != "some content" {
		t.Errorf("got %q, %v", text, err)
	}
	// From disk to disk.
	second := newWorld(t)
	second.opts.Request.FileRoots = append(second.opts.Request.FileRoots, w.dir)
	second.opts.Spec.Access.URL = w.down.Dir
	second.mustRun()
	if text, err := os.ReadFile(filepath.Join(second.down.Dir, object)); err != nil || string(text) != "some content" {
		t.Errorf("got %q, %v", text, err)
	}
	if err := os.WriteFile(filepath.Join(w.down.Dir, object), []byte("SOME CONTENT"), 0o644); err != nil {
		t.Fatal(err)
	}
	third := newWorld(t)
	third.opts.Request.FileRoots = append(third.opts.Request.FileRoots, w.dir)
	third.opts.Spec.Access.URL = "file://" + w.down.Dir
	third.mustFail(core.FailLFS)
}

// TestLargeFilesOverSSH: the server of a repository over ssh says where its
// objects are, and gives a token for them.
func TestLargeFilesOverSSH(t *testing.T) {
	t.Parallel()
	w := newLargeWorld(t)
	w.add("sub/a.bin", "some content")
	port, keys, known := sshServer(t)
	git, err := childproc.NewGit(childproc.GitOptions{Home: filepath.Join(w.dir, "ssh-home"), SSHDir: keys, Grace: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	w.opts.Git, w.opts.Reader = git, lsrefs.NewReader(git)
	t.Cleanup(w.opts.Reader.Close)
	address := fmt.Sprintf("ssh://%s@127.0.0.1:%d", account(), port)
	w.opts.Spec.Access = core.Access{URL: address + w.up.Dir, KnownHosts: known}
	w.opts.Request.Push = &protocol.Access{URL: address + w.down.Dir, KnownHosts: known}
	// Without the command, https on the same host is asked, where nobody is.
	w.mustFail(core.FailNetwork)

	bin := filepath.Join(filepath.Dir(keys), "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	script := "#!/bin/sh\ncase \"$1 $2\" in\n\"" + w.up.Dir + " download\") r=" + upName + ";;\n\"" + w.down.Dir + " upload\") r=" + downName + ";;\n*) exit 1;;\nesac\n" +
		`printf '{"href":"` + w.server.URL + `/%s/info/lfs","header":{"Authorization":"Basic YWxpOm9wZW5zZXNhbWU="},"expires_in":60}' $r` + "\n"
	if err := os.WriteFile(filepath.Join(bin, "git-lfs-authenticate"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	w.mustRun()
	w.mustHave()
}
