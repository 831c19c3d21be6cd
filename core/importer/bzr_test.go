package importer

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/spec"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// bzr runs brz as a user would who makes a branch.
func bzr(t *testing.T, dir string, args ...string) string {
	t.Helper()
	return bzrWith(t, dir, nil, args...)
}

// bzrWith runs brz with more in its environment.
func bzrWith(t *testing.T, dir string, env []string, args ...string) string {
	t.Helper()
	gittest.Require(t, "brz")
	cmd := exec.Command("brz", args...)
	cmd.Dir = dir
	cmd.Env = append(env,
		"PATH="+os.Getenv("PATH"), "HOME="+filepath.Dir(dir), "BRZ_HOME="+filepath.Dir(dir), "BRZ_PLUGIN_PATH=-user:-site:+core", "BRZ_LOG=/dev/null",
		"BRZ_EMAIL=Ann Žižka <ann@example.com>", "LC_ALL=C.UTF-8", "TZ=UTC", "PYTHONDONTWRITEBYTECODE=1",
	)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("brz %v: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// bzrWorld makes a branch with two revisions and a tag, and one that left it.
func bzrWorld(t *testing.T) (w *world, trunk, side string) {
	t.Helper()
	gittest.Require(t, "brz")
	w = newWorld(t)
	trunk, side = filepath.Join(w.dir, "bzr", "trunk"), filepath.Join(w.dir, "bzr", "side")
	if err := os.Mkdir(filepath.Dir(trunk), 0o755); err != nil {
		t.Fatal(err)
	}
	bzr(t, filepath.Dir(trunk), "init", "-q", trunk)
	bzrCommit(t, trunk, "ärger.txt", "eins\n", "Ärger")
	bzr(t, trunk, "tag", "-q", "v 1")
	bzrCommit(t, trunk, "b", "zwei\n", "zweite")
	bzr(t, filepath.Dir(trunk), "branch", "-q", trunk, side)
	bzrCommit(t, side, "c", "drei\n", "dritte")
	return w, trunk, side
}

func bzrCommit(t *testing.T, dir, file, text, message string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	bzr(t, dir, "add", "-q", file)
	bzr(t, dir, "commit", "-q", "-m", message, "--commit-time=2010-01-02 03:04:05 +0200")
}

func branches(names ...string) []spec.Branch {
	var list []spec.Branch
	for i := 0; i < len(names); i += 2 {
		list = append(list, spec.Branch{Name: names[i], Access: core.Access{URL: names[i+1]}})
	}
	return list
}

func TestBzrBranches(t *testing.T) {
	t.Parallel()
	w, trunk, side := bzrWorld(t)
	w.opts.Spec = spec.Spec{Name: "group/thing", Type: spec.Bzr, Branches: branches("trunk", trunk, "rel/side", "file://"+side)}
	report := w.mustRun()
	if want := []string{"refs/heads/rel/side", "refs/heads/trunk", "refs/tags/v_1"}; report.Head != "refs/heads/trunk" || !cmp.Equal(want, refNames(w.down.Mirrored())) {
		t.Errorf("got %v, head %q", refNames(w.down.Mirrored()), report.Head)
	}
	if got := w.down.Git("log", "--format=%an|%ae|%s|%ai", "refs/heads/trunk"); got != "Ann Žižka|ann@example.com|zweite|2010-01-02 03:04:05 +0200\nAnn Žižka|ann@example.com|Ärger|2010-01-02 03:04:05 +0200" {
		t.Errorf("got %s", got)
	}
	if got := w.down.Git("-c", "core.quotePath=false", "ls-tree", "-r", "--format=%(objectmode) %(path)", "rel/side"); got != "100644 b\n100644 c\n100644 ärger.txt" && got != "100755 b\n100755 c\n100755 ärger.txt" {
		t.Errorf("got %s", got)
	}
	if got, want := w.down.Git("rev-parse", "rel/side^"), w.down.Git("rev-parse", "trunk"); got != want {
		t.Error("the branches share no history")
	}
	w.down.Fsck()
	w.opts.Request.Digest = report.Digest
	if looked, same := Look(t.Context(), w.opts); !same || !looked.Unchanged {
		t.Errorf("got %+v", looked)
	}

	// Merged and tagged: one commit on top, with two parents; the other stays.
	old := w.down.Mirrored()
	bzr(t, trunk, "merge", "-q", side)
	bzr(t, trunk, "commit", "-q", "-m", "merge")
	bzr(t, trunk, "tag", "-q", "v2")
	if next := w.mustRun(); next.Unchanged {
		t.Errorf("got %+v", next)
	}
	if got, want := w.down.Git("rev-parse", "trunk^1", "trunk^2", "v2^0"), old["refs/heads/trunk"]+"\n"+old["refs/heads/rel/side"]+"\n"+w.down.Git("rev-parse", "trunk"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// A tag alone counts.
	bzr(t, trunk, "tag", "-q", "-r", "1", "v0")
	w.mustRun()
	if w.down.Mirrored()["refs/tags/v0"] != old["refs/tags/v_1"] {
		t.Errorf("got %v", w.down.Mirrored())
	}

	// A rewrite is refused, and told.
	good := w.down.Mirrored()
	bzr(t, side, "uncommit", "-q", "--force")
	bzrCommit(t, side, "d", "vier\n", "another third")
	w.mustFail(core.FailDiverged)
	if diff := cmp.Diff(good, w.down.Mirrored()); diff != "" {
		t.Error(diff)
	}
	w.opts.Spec.Rewrites = core.RewriteForce
	w.mustRun()

	// Made anew, everything is the same commits.
	forced := w.down.Mirrored()
	if err := os.RemoveAll(w.opts.WorkingArea); err != nil {
		t.Fatal(err)
	}
	w.mustRun()
	if diff := cmp.Diff(forced, w.down.Mirrored()); diff != "" {
		t.Error(diff)
	}
}

func refNames(refs map[string]string) []string {
	var list []string
	for name := range refs {
		list = append(list, name)
	}
	slices.Sort(list)
	return list
}

func TestBzrFaults(t *testing.T) {
	t.Parallel()
	w, trunk, side := bzrWorld(t)
	w.opts.Spec = spec.Spec{Name: "group/thing", Type: spec.Bzr, Access: core.Access{URL: trunk}}
	w.mustRun()
	good := w.down.Mirrored()
	if good["refs/heads/trunk"] == "" {
		t.Fatalf("got %v", good)
	}
	empty := filepath.Join(w.dir, "bzr", "empty")
	bzr(t, filepath.Dir(trunk), "init", "-q", empty)
	// A branch that is a reference to a place that may not be read.
	elsewhere, reference := filepath.Join(t.TempDir(), "side"), filepath.Join(w.dir, "bzr", "reference")
	bzr(t, filepath.Dir(trunk), "branch", "-q", side, elsewhere)
	bzr(t, filepath.Dir(trunk), "checkout", "-q", "--lightweight", elsewhere, reference)
	for address, kind := range map[string]core.FailureKind{
		filepath.Join(w.dir, "bzr", "none"): core.FailGone,
		empty:                               core.FailEmpty,
		reference:                           core.FailSpec,
		"http://127.0.0.1:1/none":           core.FailNetwork,
		gittest.Status(t, http.StatusUnauthorized).URL:  core.FailAuth,
		gittest.Redirect(t, "http://localhost:1").URL:   core.FailGone,
		gittest.Page(t, "<html>no bzr here</html>").URL: core.FailNotGit,
	} {
		w.opts.Spec.Access.URL = address
		report := w.run()
		if report.Failure.Kind != kind || report.Failure.Hint == "" {
			t.Errorf("%s: want %q, got %+v", address, kind, report.Failure)
		}
		if diff := cmp.Diff(good, w.down.Mirrored()); diff != "" {
			t.Errorf("%s: %s", address, diff)
		}
	}
	// A copy that is broken is made anew.
	w.opts.Spec.Access.URL = trunk
	copies, err := filepath.Glob(filepath.Join(w.opts.WorkingArea, "group_thing", "bzr", ".bzr", "repository", "*", "*.pack"))
	if err != nil || len(copies) == 0 {
		t.Fatalf("%v, %v", copies, err)
	}
	for _, path := range copies {
		if err := os.Truncate(path, 10); err != nil {
			t.Fatal(err)
		}
	}
	bzrCommit(t, trunk, "e", "five\n", "fifth")
	w.mustRun()
	if got := w.down.Git("rev-parse", "trunk^"); got != good["refs/heads/trunk"] {
		t.Errorf("the new commit lies on %s", got)
	}
}

// TestBzrOverHTTP reads a branch from a plain web server that wants a password.
func TestBzrOverHTTP(t *testing.T) {
	t.Parallel()
	w, trunk, _ := bzrWorld(t)
	var leaked atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.String(), "opensesame") {
			leaked.Store(true)
		}
		if user, password, _ := r.BasicAuth(); user != "ali" || password != `open"se,same#` {
			out.Header().Set("WWW-Authenticate", `Basic realm="bzr"`)
			http.Error(out, "", http.StatusUnauthorized)
			return
		}
		http.FileServer(http.Dir(filepath.Dir(trunk))).ServeHTTP(out, r)
	}))
	defer server.Close()
	w.opts.Spec = spec.Spec{Name: "group/thing", Type: spec.Bzr, Access: core.Access{URL: server.URL + "/trunk"}}
	w.mustFail(core.FailAuth)
	w.opts.Spec.Access.Username, w.opts.Spec.Access.Secret = "ali", core.NewSecret(`open"se,same#`)
	w.mustRun()
	if w.down.Mirrored()["refs/heads/trunk"] == "" || leaked.Load() || strings.Contains(w.out.String(), "se,same") {
		t.Errorf("got %v\n%s", w.down.Mirrored(), w.out)
	}
}
