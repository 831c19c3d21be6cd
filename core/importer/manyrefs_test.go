package importer

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// manyRefs is a world with very many branches, and the same done by git alone
// beside it.
type manyRefs struct {
	*world
	n     int
	plain string // the directory of git alone; "": it is not asked
	step  time.Time
}

// told says what a step took.
func (m *manyRefs) told(what string) {
	var used syscall.Rusage // of the largest program so far
	_ = syscall.Getrusage(syscall.RUSAGE_CHILDREN, &used)
	m.t.Logf("%d refs, %s: %v, at most %d MiB in one program", m.n, what, time.Since(m.step).Round(time.Millisecond), used.Maxrss>>10)
	m.step = time.Now()
}

// beside does with git alone what a user could, and says how long it takes. A
// push that is refused is no failure of the test.
func (m *manyRefs) beside(args ...[]string) {
	if m.plain == "" {
		return
	}
	m.step = time.Now()
	for _, call := range args {
		cmd := exec.Command("git", call...)
		cmd.Dir, cmd.Env = m.plain, append(gittest.Env(), "GIT_CONFIG_COUNT=2", "GIT_CONFIG_KEY_1=core.fsync", "GIT_CONFIG_VALUE_1=objects,derived-metadata,reference")
		if out, err := cmd.CombinedOutput(); err != nil && call[1] != "push" {
			m.t.Fatalf("git %v: %v: %s", call, err, out)
		}
	}
	m.told("the same by git alone")
}

// passed is one run that brings everything.
func (m *manyRefs) passed(what string) {
	m.t.Helper()
	m.step = time.Now()
	m.mustRun()
	m.told(what)
	m.mustEqual()
}

// change makes the branches what a function says, "" for none, without a file for
// each.
func (m *manyRefs) change(object func(i int) string) {
	m.t.Helper()
	m.up.Git("pack-refs", "--all")
	refs := m.up.Refs()
	for i := range m.n {
		ref := fmt.Sprintf("refs/heads/b/%04d", i)
		if refs[ref] = object(i); refs[ref] == "" {
			delete(refs, ref)
		}
	}
	var text strings.Builder
	text.WriteString("# pack-refs with: sorted \n")
	for _, ref := range slices.Sorted(maps.Keys(refs)) {
		text.WriteString(refs[ref] + " " + ref + "\n")
	}
	if err := repo.WritePackedRefs(m.up.Dir, []byte(text.String()), false); err != nil {
		m.t.Fatal(err)
	}
}

// rewritten is a run that brings nothing of branches that were all rewritten.
func (m *manyRefs) rewritten(rewrites core.RewritePolicy, status string) {
	m.t.Helper()
	m.opts.Spec.Rewrites = rewrites
	before := m.down.Mirrored()
	m.step = time.Now()
	report := m.mustFail(core.FailDiverged)
	m.told("all rewritten, " + string(rewrites))
	if len(report.Refs) != m.n {
		m.t.Errorf("%d refs are told of", len(report.Refs))
	}
	for _, r := range report.Refs {
		if r.Status != status {
			m.t.Fatalf("%+v", r)
		}
	}
	if !maps.Equal(before, m.down.Mirrored()) {
		m.t.Error("downstream changed")
	}
}

// TestFiftyThousandRefs mirrors very many refs, leaves them alone, and changes,
// rewrites, loses and brings them back, few and all of them.
func TestFiftyThousandRefs(t *testing.T) {
	t.Parallel()
	m := &manyRefs{world: newWorld(t), n: 600}
	fetch := []string{"--git-dir=w", "fetch", "-q", "--atomic", "--no-tags", "--prune", m.up.Dir, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"}
	push := []string{"--git-dir=w", "push", "-q", "d", "refs/heads/*", "refs/tags/*"}
	if soak() {
		m.n, m.plain = refsOfSoak(t), filepath.Join(m.dir, "plain")
		if err := os.Mkdir(m.plain, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m.opts.Spec.Prune = true
	m.up.Branches(m.n, "first")
	m.up.Git("pack-refs", "--all")
	m.passed("first import")
	m.beside([]string{"clone", "-q", "--bare", m.up.Dir, "w"}, []string{"init", "-q", "--bare", "d"}, push)
	m.passed("unchanged")
	m.beside(fetch, push)
	m.up.Commit("refs/heads/b/0007", "one more")
	fresh := m.up.Commit("refs/heads/fresh", "another root")
	m.passed("one changed, one new")
	m.beside(fetch, push)

	old := m.up.Refs("refs/heads/b/")
	m.change(func(int) string { return fresh })
	m.rewritten(core.RewriteHold, core.RefHeld)
	m.beside(fetch, push)
	m.rewritten(core.RewriteRefuse, core.RefRejected)
	m.opts.Spec.Rewrites = core.RewriteForce
	m.passed("all rewritten, force")
	m.beside(append(append([]string(nil), push[:3]...), "--force", "d", "refs/heads/*", "refs/tags/*"))
	kept := make(map[string]bool)
	for _, object := range m.area().Refs("refs/lorry/kept/") {
		kept[object] = true
	}
	for ref, object := range old {
		if !kept[object] {
			t.Fatalf("the old tip %s of %s was not kept", object, ref)
		}
	}
	m.passed("unchanged, with old tips kept")
	m.pruned(fetch)
	m.up.Branches(m.n, "back again")
	m.passed("back again")
	m.beside(fetch, push)
	m.area().Fsck()
}

// pruned loses all branches, which is more likely a fault, and then a part that
// may be meant.
func (m *manyRefs) pruned(fetch []string) {
	m.t.Helper()
	before := m.down.Mirrored()
	m.change(func(int) string { return "" })
	m.step = time.Now()
	m.mustRun()
	m.told("all vanished")
	m.beside(fetch)
	m.step = time.Now()
	if diff := cmp.Diff(before, m.down.Mirrored()); diff != "" || !strings.Contains(m.out.String(), "none is pruned") {
		m.t.Errorf("%d refs are left of %d", len(m.down.Mirrored()), len(before))
	}
	fresh := m.up.Refs("refs/heads/fresh")["refs/heads/fresh"]
	m.change(func(i int) string {
		if i < m.n*6/10 {
			return fresh
		}
		return ""
	})
	m.passed("four in ten pruned")
	m.beside(fetch, []string{"--git-dir=w", "push", "-q", "--prune", "d", "+refs/heads/*:refs/heads/*"})
}

// TestManyRefsPrunedOverHTTP is the same for a Downstream Host elsewhere.
func TestManyRefsPrunedOverHTTP(t *testing.T) {
	t.Parallel()
	m := &manyRefs{world: newWorld(t), n: 1700} // enough to be very many for a push
	if soak() {
		m.n, m.plain = refsOfSoak(t), filepath.Join(m.dir, "plain")
		if err := os.Mkdir(m.plain, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	server := gittest.NewServer(t, m.dir)
	m.opts.Spec.Prune = true
	m.opts.Request.Push.URL = server.URL + "/down/group/thing.git"
	m.down.Git("config", "http.receivepack", "true")
	m.up.Branches(m.n, "first")
	m.up.Git("pack-refs", "--all")
	m.passed("first import over http")
	m.beside([]string{"clone", "-q", "--bare", m.up.Dir, "w"}, []string{"clone", "-q", "--bare", m.up.Dir, "d"}, []string{"--git-dir=d", "config", "http.receivepack", "true"})
	fresh := m.up.Commit("refs/heads/fresh", "another root")
	m.change(func(i int) string {
		if i < m.n*6/10 {
			return fresh
		}
		return ""
	})
	m.opts.Spec.Rewrites = core.RewriteForce
	m.passed("four in ten pruned, the others rewritten, over http")
	m.beside([]string{"--git-dir=w", "fetch", "-q", "--atomic", "--no-tags", "--prune", m.up.Dir, "+refs/heads/*:refs/heads/*"},
		[]string{"--git-dir=w", "push", "-q", "--prune", server.URL + "/plain/d", "+refs/heads/*:refs/heads/*"})
}

// refsOfSoak is how many refs a long test has.
func refsOfSoak(t *testing.T) int {
	t.Helper()
	text := os.Getenv("LORRY_TEST_REFS")
	if text == "" {
		return 50000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
