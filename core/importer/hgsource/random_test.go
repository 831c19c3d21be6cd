package hgsource

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// told is what the extension for tests tells of a repository.
type told struct {
	Changesets map[string]struct {
		Parents []string          `json:"parents"`
		Time    int64             `json:"time"`
		Text    string            `json:"text"`
		Files   map[string]string `json:"files"` // "mode object"
	} `json:"changesets"`
	Branches map[string]string `json:"branches"`
	Tags     map[string]string `json:"tags"`
	Marks    map[string]string `json:"marks"`
}

// TestRandomHistories changes a repository at random: merges, branches that are
// closed and reopened, tags and bookmarks that move and go, files that become
// directories, amended, obsolete, secret and stripped changesets. After each few
// steps every changeset that upstream shows, every branch and tag is the same in
// git, and as if all had been imported at the end.
func TestRandomHistories(t *testing.T) {
	t.Parallel()
	seeds, rounds := 1, 3
	if os.Getenv("LORRY_TEST_SOAK") != "" {
		seeds, rounds = 80, 4
	}
	for seed := range seeds {
		t.Run(strconv.Itoa(seed), func(t *testing.T) {
			m := newMirror(t)
			m.source.Bookmarks = true
			for round := range rounds {
				m.random("random-steps", strconv.Itoa(100*seed+round+1), "20")
				var want told
				if err := json.Unmarshal([]byte(m.random("tell-all")), &want); err != nil {
					t.Fatal(err)
				}
				m.mustUpdate(m.source)
				m.compare(want)
				fresh := m.newSource(filepath.Join(t.TempDir(), "work"))
				fresh.Bookmarks = true
				m.mustUpdate(fresh)
				all := []string{"refs/heads", "refs/tags", "refs/hg"}
				if diff := cmp.Diff(gittest.OpenRepo(t, fresh.Repo.Dir).Refs(all...), m.git.Refs(all...)); diff != "" {
					t.Errorf("one import differs from several (-one +several):\n%s\n%s", diff, m.hg("log", "-G"))
				}
				if t.Failed() {
					t.Fatalf("seed %d, round %d\n%s\n%s", seed, round, m.hg("log", "-G", "-T", "{rev}:{node|short} {branch} {phase} {tags} {desc|firstline}\\n"), &m.out)
				}
			}
		})
	}
}

// random runs a command of the extension for tests.
func (m *mirror) random(args ...string) string {
	m.t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", "random.py"))
	if err != nil {
		m.t.Fatal(err)
	}
	out := m.hg(append([]string{
		"--config", "extensions.random=" + path, "--config", "experimental.evolution=all", "--config", "phases.publish=no", "--config", "ui.timeout=5",
		"--config", "ui.username=ann",
	}, args...)...)
	return out[strings.LastIndexByte(out, '\n')+1:]
}

// compare compares what git has with what upstream shows.
func (m *mirror) compare(want told) {
	m.t.Helper()
	known, err := m.source.known(m.t.Context())
	if err != nil {
		m.t.Fatal(err)
	}
	for node, c := range want.Changesets {
		object := known[node]
		if object == "" {
			m.t.Errorf("the changeset %s is not there", node)
			continue
		}
		parents := make([]string, 0, 2)
		for _, p := range c.Parents {
			parents = append(parents, known[p])
		}
		head := fmt.Sprintf("%s\n%d\n%s", strings.Join(parents, " "), c.Time, strings.TrimSpace(c.Text))
		if diff := cmp.Diff(strings.TrimSpace(head), strings.TrimSpace(m.git.Git("show", "-s", "--format=%P%n%at%n%B", object))); diff != "" {
			m.t.Errorf("changeset %s: %s", node, diff)
		}
		files := make(map[string]string)
		for entry := range strings.SplitSeq(m.git.Git("ls-tree", "-r", "-z", object), "\x00") {
			if facts, path, ok := strings.Cut(entry, "\t"); ok {
				files[path] = strings.Replace(facts, " blob", "", 1)
			}
		}
		if diff := cmp.Diff(c.Files, files); diff != "" {
			m.t.Errorf("files of changeset %s: %s", node, diff)
		}
	}
	refs := make(map[string]string)
	plain := func(name string) string { return strings.ReplaceAll(name, " ", "_") }
	for name, node := range want.Marks {
		refs["refs/heads/"+plain(name)] = known[node]
	}
	for name, node := range want.Branches {
		if name == "default" {
			name = "master"
		}
		refs["refs/heads/"+plain(name)] = known[node]
	}
	for name, node := range want.Tags {
		refs["refs/tags/"+plain(name)] = known[node]
	}
	if diff := cmp.Diff(refs, m.git.Mirrored()); diff != "" {
		m.t.Errorf("refs (-upstream +git): %s", diff)
	}
}
