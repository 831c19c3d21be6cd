package importer

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core/spec"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// bzrTold is what the plugin for tests tells of a branch.
type bzrTold struct {
	Tip       string            `json:"tip"`
	Tags      map[string]string `json:"tags"`
	Revisions map[string]struct {
		Parents []string          `json:"parents"`
		Time    int64             `json:"time"`
		Text    string            `json:"text"`
		Files   map[string]string `json:"files"` // "mode object"
	} `json:"revisions"`
}

// TestBzrRandomHistories changes branches at random: files and directories that
// move, change places and kinds, merges, tags that move and go, branches that go
// back and begin anew. After each few steps every revision of every branch and
// tag is the same in git, and as if all had been imported at the end.
func TestBzrRandomHistories(t *testing.T) {
	t.Parallel()
	gittest.Require(t, "brz")
	seeds, rounds := 1, 2
	if soak() {
		seeds, rounds = 60, 4
	}
	for seed := range seeds {
		t.Run(strconv.Itoa(seed), func(t *testing.T) {
			w := newWorld(t)
			root := filepath.Join(w.dir, "bzr")
			if err := os.Mkdir(root, 0o755); err != nil {
				t.Fatal(err)
			}
			w.opts.Spec = spec.Spec{
				Name: "group/thing", Type: spec.Bzr, Refspecs: []string{"+refs/heads/*", "+refs/tags/*"}, Prune: true,
				Branches: branches("one", filepath.Join(root, "one"), "two", filepath.Join(root, "two")),
			}
			for round := range rounds {
				bzrRandom(t, root, "random-steps", root, strconv.Itoa(100*seed+round+1), "25")
				out := bzrRandom(t, root, "tell-all", root)
				var want map[string]bzrTold
				if err := json.Unmarshal([]byte(out[strings.LastIndexByte(out, '\n')+1:]), &want); err != nil {
					t.Fatal(err)
				}
				w.mustRun()
				w.compareBzr(want)
				if round == rounds-1 {
					w.mustBeAsOneImport()
				}
				if t.Failed() {
					t.Fatalf("seed %d, round %d\n%s", seed, round, w.out)
				}
			}
		})
	}
}

// bzrRandom runs a command of the plugin for tests.
func bzrRandom(t *testing.T, dir string, args ...string) string {
	t.Helper()
	plugin, err := filepath.Abs(filepath.Join("bzrsource", "testdata", "random.py"))
	if err != nil {
		t.Fatal(err)
	}
	return bzrWith(t, dir, []string{"BRZ_PLUGINS_AT=random_steps@" + plugin}, args...)
}

// compareBzr compares what the mirror has with what the branches hold.
func (w *world) compareBzr(want map[string]bzrTold) {
	w.t.Helper()
	tags := make(map[string]string)
	for _, name := range []string{"two", "one"} {
		b := want[name]
		commits := map[string]string{b.Tip: w.down.Git("rev-parse", "refs/heads/"+name)}
		// Parents are told in the same order.
		for todo := []string{b.Tip}; len(todo) > 0; {
			revision := todo[0]
			todo = todo[1:]
			r := b.Revisions[revision]
			parents := strings.Fields(w.down.Git("show", "-s", "--format=%P", commits[revision]))
			if len(parents) != len(r.Parents) {
				w.t.Errorf("%s of %s has the parents %v, want %v", revision, name, parents, r.Parents)
				break
			}
			for i, p := range r.Parents {
				if commits[p] == "" {
					todo = append(todo, p)
				} else if commits[p] != parents[i] {
					w.t.Errorf("%s of %s is two commits", p, name)
				}
				commits[p] = parents[i]
			}
			w.compareBzrRevision(commits[revision], r.Files, fmt.Sprintf("%d\n%s", r.Time, strings.TrimSpace(r.Text)))
		}
		for tag, revision := range b.Tags {
			if commits[revision] != "" {
				tags["refs/tags/"+tag] = commits[revision]
			}
		}
	}
	have := w.down.Mirrored()
	for ref := range have {
		if strings.HasPrefix(ref, "refs/heads/") {
			delete(have, ref)
		}
	}
	if diff := cmp.Diff(tags, have); diff != "" {
		w.t.Errorf("tags (-upstream +git): %s", diff)
	}
}

func (w *world) compareBzrRevision(commit string, files map[string]string, head string) {
	w.t.Helper()
	at, text, _ := strings.Cut(w.down.Git("show", "-s", "--format=%at%n%B", commit), "\n")
	if diff := cmp.Diff(strings.TrimSpace(head), strings.TrimSpace(at+"\n"+strings.TrimSpace(text))); diff != "" {
		w.t.Errorf("commit %s: %s", commit, diff)
	}
	have := make(map[string]string)
	for entry := range strings.SplitSeq(w.down.Git("ls-tree", "-r", "-z", commit), "\x00") {
		if facts, path, ok := strings.Cut(entry, "\t"); ok {
			have[path] = strings.Replace(facts, " blob", "", 1)
		}
	}
	if diff := cmp.Diff(files, have); diff != "" {
		w.t.Errorf("files of %s: %s", commit, diff)
	}
}
