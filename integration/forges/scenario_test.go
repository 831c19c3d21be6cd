package forges

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// How many repositories an organisation has: enough for two pages of GitLab and
// three of Gitea, and for one kind, in the ordinary run, as many as cost little.
const (
	many  = 120
	fewer = 60
)

func TestScenario(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"gitea", "gitlab"} {
		t.Run("fake "+kind, func(t *testing.T) {
			t.Parallel()
			n := many
			var f forge
			var fake planter
			if kind == "gitea" {
				fake, f = fakeGitea(t)
			} else {
				fake, f = fakeGitLab(t)
				if os.Getenv("LORRY_TEST_SOAK") == "" {
					n = fewer
				}
			}
			newWorld(t, f, fake, n).run(t)
		})
	}
	for _, f := range givenForges(t) {
		t.Run("real "+f.kind+" "+f.name, func(t *testing.T) { newWorld(t, f, nil, many).run(t) })
	}
}

// planter is a fake that takes branches without a push, which is cheap.
type planter interface {
	Plant(path, objects string, refs map[string]string) error
}

// world is an organisation upstream, the one that mirrors it, and the system in
// between.
type world struct {
	forge
	up, down string // organisations
	upID     any
	n        int
	seeds    *gittest.Repo // a branch b/NNNN for each repository
	fake     planter       // nil for a real server
	tips     map[string]string
	sys      *system
}

func newWorld(t *testing.T, f forge, fake planter, n int) *world {
	t.Helper()
	w := &world{forge: f, up: unique("up"), down: unique("down"), n: n, fake: fake}
	w.seeds = gittest.NewRepo(t, filepath.Join(t.TempDir(), "seeds.git"))
	w.seeds.Branches(n+1, "first")
	w.tips = w.seeds.Refs()
	w.upID = f.group(t, w.up)
	for i := range n {
		w.seed(t, i)
	}
	return w
}

func name(i int) string { return fmt.Sprintf("r%03d", i) }

func (w *world) source(i int) string { return w.up + "/" + name(i) }
func (w *world) mirror(i int) string { return w.down + "/" + name(i) }

// branch is where the content of a repository is among the seeds.
func branch(i int) string { return fmt.Sprintf("refs/heads/b/%04d", i) }

// seed makes a repository with two branches and a tag. One in ten has no
// description, one in seven is private. Those to which something happens are
// pushed, the others of a fake planted.
func (w *world) seed(t *testing.T, i int) {
	t.Helper()
	description := fmt.Sprintf("Numb\u00e9r %d, \"quoted\"", i)
	if i%10 == 0 {
		description = ""
	}
	w.create(t, w.up, w.upID, name(i), description, i%7 == 0)
	if tip := w.tips[branch(i)]; w.fake != nil && i >= len(changes()) && i < w.n {
		refs := map[string]string{"refs/heads/main": tip, "refs/heads/next": tip, "refs/tags/v1": tip}
		if err := w.fake.Plant(w.source(i), filepath.Join(w.seeds.Dir, "objects"), refs); err != nil {
			t.Fatal(err)
		}
		return
	}
	w.push(t, w.seeds, w.source(i), branch(i)+":refs/heads/main", branch(i)+":refs/heads/next", branch(i)+":refs/tags/v1")
}

// start starts the system on the organisation.
func (w *world) start(t *testing.T) {
	t.Helper()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(w.token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	webapp := []string{
		"downstream-host-type = " + w.kind, "downstream-http-url = " + w.address, "downstream-visibility = public",
		"downstream-setting = insecure-credentials=yes, protocol=" + strings.SplitN(w.address, ":", 2)[0],
	}
	section := map[string]any{
		"type": w.kind, "host": w.host(), "protocol": strings.SplitN(w.address, ":", 2)[0], "http-url": w.address,
		"insecure-credentials": true, // a given server may speak plain http
		"private-token":        w.token, "prefixmap": map[string]string{w.up: w.down}, "ls-interval": "1d", "interval": "1d",
	}
	if w.kind == "gitea" {
		webapp = append(webapp, "gitea-access-token-file = "+token)
		section["organization"] = []string{w.up}
	} else {
		webapp = append(webapp, "gitlab-private-token-file = "+token)
		webapp[len(webapp)-2] += ", unprotect-branches=yes"
		section["group"] = []string{w.up}
	}
	lorries := map[string]any{"type": "lorries", "prefix": w.down, "globs": []string{"*.lorry"}, "interval": "1d"}
	text := fmt.Sprintf(`{"pruned": {"type": "git", "url": "%s/%s.git", "refspecs": ["+refs/heads/*", "+refs/tags/*"], "prune": true}}`, w.address, w.source(pruned))
	w.sys = start(t, webapp, []map[string]any{section, lorries}, map[string]string{"pruned.lorry": text})
}

// mirrored waits until each of the Lorries has run and tells of those that
// failed.
func (w *world) mirrored(t *testing.T, wanted int) map[string]lorry {
	t.Helper()
	var all map[string]lorry
	t.Cleanup(func() {
		if t.Failed() && len(all) != wanted {
			t.Logf("%d Lorries, wanted %d", len(all), wanted)
		}
	})
	await(t, fmt.Sprintf("%d mirrors", wanted), func() bool {
		all = w.sys.lorries(t)
		done := 0
		for _, l := range all {
			if l.LastRun > 0 {
				done++
			}
		}
		return done == wanted && len(all) == wanted
	})
	for path, l := range all {
		if l.LastExit != "0" {
			t.Errorf("%s: exit %s, %s: %s (%s)", path, l.LastExit, l.Failure.Kind, l.Failure.Cause, l.Failure.Hint)
		}
	}
	return all
}

// compare looks whether a mirror is what its source is.
func (w *world) compare(t *testing.T, source, mirror string, kept ...string) {
	t.Helper()
	from, ok := w.facts(t, source)
	to, there := w.facts(t, mirror)
	if !ok || !there {
		t.Errorf("%s is there: %v; %s is there: %v", source, ok, mirror, there)
		return
	}
	want := facts{Default: from.Default, Visibility: "public"}
	if from.Description != "" {
		want.Description = w.host() + ": " + from.Description
	}
	if diff := cmp.Diff(want, to); diff != "" {
		t.Errorf("%s (-want +got):\n%s", mirror, diff)
	}
	got := strings.Split(w.refs(t, mirror), "\n")
	got = slices.DeleteFunc(got, func(line string) bool {
		_, ref, _ := strings.Cut(line, "\t")
		return slices.Contains(kept, ref)
	})
	if diff := cmp.Diff(strings.Split(w.refs(t, source), "\n"), got); diff != "" {
		t.Errorf("refs of %s (-want +got):\n%s", mirror, diff)
	}
}

// again runs some Lorries once more and waits for the end.
func (w *world) again(t *testing.T, paths ...string) {
	t.Helper()
	for _, path := range paths {
		var before, after lorry
		w.sys.get(t, "/1.0/lorry/"+path, &before)
		w.sys.post(t, "/1.0/retry", "path", path)
		await(t, "another job of "+path, func() bool {
			w.sys.get(t, "/1.0/lorry/"+path, &after)
			return len(after.Jobs) > len(before.Jobs) && w.ended(t, after.Jobs[len(after.Jobs)-1])
		})
	}
}

// ended reports whether a job has ended, and fails the test when that was not
// well.
func (w *world) ended(t *testing.T, id int64) bool {
	t.Helper()
	var job struct {
		State  string `json:"state"`
		Path   string `json:"path"`
		Output string `json:"output"`
	}
	w.sys.get(t, fmt.Sprintf("/1.0/job/%d", id), &job)
	switch job.State {
	case "running", "stopping":
		return false
	case "succeeded":
		return true
	}
	t.Fatalf("job %d of %s %s:\n%s", id, job.Path, job.State, job.Output)
	return true
}
