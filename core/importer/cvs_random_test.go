package importer

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCvsRandomHistories changes a module at random: files that come, go and
// come back on the trunk and on branches, branches of everything and of some
// files at other revisions, branches of branches, tags, and vendors' imports.
// After each few changes every branch and tag is what its checkout gives, and the
// same as if all had been imported at the end.
func TestCvsRandomHistories(t *testing.T) {
	t.Parallel()
	seeds, rounds := 1, 2
	if soak() {
		seeds, rounds = 100, 5
	}
	for seed := range seeds {
		t.Run(strconv.Itoa(seed), func(t *testing.T) {
			h := &cvsHistory{cvsWorld: newCvsWorld(t), r: rand.New(rand.NewPCG(uint64(seed), 1)), lines: []string{""}}
			h.commit("a", "one\n", "first")
			h.done()
			for round := range rounds {
				for range 9 {
					h.step()
					h.done()
				}
				h.mustRun()
				h.compare()
				if round == rounds-1 {
					h.mustBeAsOneImport()
				}
				if t.Failed() {
					t.Fatalf("seed %d, round %d\n%s\n%s", seed, round, strings.Join(h.told, "\n"), h.out)
				}
			}
		})
	}
}

// cvsHistory is a history in the making.
type cvsHistory struct {
	*cvsWorld
	r     *rand.Rand
	lines []string // "" is the trunk
	tags  []string
	told  []string
	day   int
}

func (h *cvsHistory) done() {
	h.t.Helper()
	h.day++
	h.at(h.day)
}

// tree gives a fresh checkout of a branch or tag.
func (h *cvsHistory) tree(name string) string {
	h.t.Helper()
	parent, err := os.MkdirTemp(h.dir, "tree-")
	if err != nil {
		h.t.Fatal(err)
	}
	args := []string{"checkout"}
	if name != "" {
		args = append(args, "-r", name)
	}
	h.cvs(parent, append(args, "mod")...)
	dir := filepath.Join(parent, "mod")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		h.t.Fatal(err)
	}
	return dir
}

// checkedOut are the files of a checkout.
func (h *cvsHistory) checkedOut(dir string) map[string]string {
	h.t.Helper()
	all := make(map[string]string)
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		h.t.Fatal(err)
	}
	for _, path := range names {
		if text, err := os.ReadFile(path); err == nil {
			all[filepath.Base(path)] = strings.TrimSpace(string(text))
		}
	}
	return all
}

func (h *cvsHistory) step() {
	h.t.Helper()
	line, n := h.lines[h.r.IntN(len(h.lines))], len(h.told)
	dir := h.tree(line)
	have := h.checkedOut(dir)
	file := string(rune('a' + h.r.IntN(5)))
	_, there := have[file]
	tell := func(format string, args ...any) {
		h.told = append(h.told, fmt.Sprintf("day %d on %q: ", h.day+1, line)+fmt.Sprintf(format, args...))
	}
	switch what := h.r.IntN(10); {
	case what < 5 || len(have) < 2:
		tell("write %s", file)
		if err := os.WriteFile(filepath.Join(dir, file), fmt.Appendf(nil, "text %d\n", n), 0o644); err != nil {
			h.t.Fatal(err)
		}
		if !there {
			h.cvs(dir, "add", file)
		}
		h.cvs(dir, "commit", "-f", "-m", fmt.Sprintf("change %d", n), file)
	case what == 5 && there:
		tell("remove %s", file)
		h.cvs(dir, "remove", "-f", file)
		h.cvs(dir, "commit", "-m", fmt.Sprintf("change %d", n), file)
	case what == 6 && len(h.lines) < 5:
		name := fmt.Sprintf("B%d", n)
		args := []string{"tag", "-b", name}
		if h.r.IntN(2) == 0 && there {
			args = append(args, file)
		}
		tell("%v", args)
		h.cvs(dir, args...)
		h.lines = append(h.lines, name)
	case what == 7:
		name := fmt.Sprintf("T%d", n)
		args := []string{"tag", name}
		if h.r.IntN(2) == 0 && there {
			args = append(args, file)
		}
		tell("%v", args)
		h.cvs(dir, args...)
		h.tags = append(h.tags, name)
	case what > 7 && line == "":
		vendor := filepath.Join(h.dir, fmt.Sprintf("vendor-%d", n))
		if err := os.MkdirAll(vendor, 0o755); err != nil {
			h.t.Fatal(err)
		}
		for _, name := range []string{file, "v"} {
			if err := os.WriteFile(filepath.Join(vendor, name), fmt.Appendf(nil, "vendor %d\n", n), 0o644); err != nil {
				h.t.Fatal(err)
			}
		}
		tell("import of %s and v", file)
		h.cvs(vendor, "import", "-I!", "-m", fmt.Sprintf("import %d", n), "mod", "VENDOR", fmt.Sprintf("V%d", n))
		h.tags = append(h.tags, fmt.Sprintf("V%d", n))
	}
}

// compare compares what each branch and tag has with its checkout.
func (h *cvsHistory) compare() {
	h.t.Helper()
	refs := h.down.Mirrored()
	check := func(name, ref string) {
		want, have := h.checkedOut(h.tree(name)), make(map[string]string)
		if refs[ref] != "" {
			for line := range strings.SplitSeq(h.down.Git("ls-tree", "-r", ref), "\n") {
				if facts, path, ok := strings.Cut(line, "\t"); ok {
					have[path] = strings.TrimSpace(h.down.Git("cat-file", "blob", facts[strings.LastIndexByte(facts, ' ')+1:]))
				}
			}
		}
		if diff := cmp.Diff(want, have); diff != "" {
			h.t.Errorf("%s (-cvs +git): %s", ref, diff)
		}
	}
	check("", "refs/heads/master")
	for _, name := range h.lines[1:] {
		check(name, "refs/heads/"+name)
	}
	for _, name := range h.tags {
		check(name, "refs/tags/"+name)
	}
	if refs["refs/heads/VENDOR"] != "" {
		check("VENDOR", "refs/heads/VENDOR")
	}
}
