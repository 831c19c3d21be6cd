package local

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/sdk"
)

// readManifest reads the manifest as a downstream of grokmirror's would.
func readManifest(t *testing.T, base string) map[string]map[string]any {
	t.Helper()
	f, err := os.Open(filepath.Join(base, manifestName))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	unpacked, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]map[string]any
	if err := json.NewDecoder(unpacked).Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}

// showRef is the fingerprint as people make it by hand.
func showRef(t *testing.T, dir string) string {
	t.Helper()
	out, err := exec.Command("sh", "-c", `git --git-dir="$1" show-ref | sha1sum`, "sh", dir).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(out))[0]
}

func worktree(t *testing.T) string {
	t.Helper()
	work := filepath.Join(t.TempDir(), "work")
	git(t, "init", "-q", "-b", "trunk", work)
	git(t, "-C", work, "commit", "-q", "--allow-empty", "-m", "one")
	git(t, "-C", work, "tag", "-a", "-m", "annotated", "v1")
	git(t, "-C", work, "tag", "light")
	return work
}

func kept(t *testing.T, base string) *Adapter {
	t.Helper()
	a := newAdapter(t, Settings{BaseDirectory: base, Manifest: true})
	<-a.manifest.caught
	return a
}

func closed(t *testing.T, a *Adapter) {
	t.Helper()
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestManifestFollowsPushes(t *testing.T) {
	t.Parallel()
	base, work := t.TempDir(), worktree(t)
	dir := filepath.Join(base, "group/repo.git")
	want := sdk.Want{Path: "group/repo", Description: "About it", Head: "refs/heads/trunk"}
	var last map[string]any
	for _, step := range []struct {
		what string
		do   func()
	}{
		{"a first push", func() { git(t, "-C", work, "push", "-q", dir, "trunk", "trunk:other/deep", "v1", "light") }},
		{"packed refs", func() { git(t, "--git-dir", dir, "pack-refs", "--all") }},
		{"a branch over a packed one", func() {
			git(t, "-C", work, "commit", "-q", "--allow-empty", "-m", "two")
			git(t, "-C", work, "push", "-q", dir, "trunk")
		}},
		{"a branch that went", func() { git(t, "-C", work, "push", "-q", dir, ":other/deep") }},
		{"a symbolic ref", func() { git(t, "--git-dir", dir, "symbolic-ref", "refs/heads/alias", "refs/heads/trunk") }},
		{"a symbolic ref to nothing", func() { git(t, "--git-dir", dir, "symbolic-ref", "refs/heads/alias", "refs/heads/none") }},
		{"another HEAD", func() {
			git(t, "-C", work, "push", "-q", dir, "trunk:next")
			want.Head = "refs/heads/next"
		}},
		{"another description", func() { want.Description = "New words" }},
	} {
		a := kept(t, base)
		if _, err := a.Ensure(t.Context(), sdk.Want{Path: want.Path, Description: want.Description, Head: want.Head}); err != nil {
			t.Fatal(err)
		}
		step.do()
		if err := a.AfterPush(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		closed(t, a)
		got := readManifest(t, base)["/group/repo.git"]
		if modified, _ := got["modified"].(float64); time.Since(time.Unix(int64(modified), 0)) > time.Hour {
			t.Errorf("%s: modified is %v", step.what, got["modified"])
		}
		delete(got, "modified")
		expected := map[string]any{
			"description": want.Description, "fingerprint": showRef(t, dir), "head": "ref: " + want.Head, "owner": nil, "reference": nil,
		}
		if diff := cmp.Diff(expected, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.what, diff)
		}
		if step.what != "packed refs" && step.what != "a symbolic ref to nothing" && cmp.Equal(last, got) {
			t.Errorf("%s changed nothing", step.what)
		}
		last = got
	}
}

func TestManifestCatchesUpWithWhatHappenedMeanwhile(t *testing.T) {
	t.Parallel()
	base, work := t.TempDir(), worktree(t)
	closed(t, kept(t, base))
	for _, name := range []string{"a.git", "b.git", "gone.git", "empty.git", "deep/c.git", ".hidden/d.git"} {
		dir := filepath.Join(base, name)
		git(t, "init", "-q", "--bare", "--template=", dir)
		if name != "empty.git" {
			git(t, "-C", work, "push", "-q", dir, "trunk")
		}
	}
	names := func() []string { return slices.Sorted(maps.Keys(readManifest(t, base))) }
	closed(t, kept(t, base))
	if diff := cmp.Diff([]string{"/a.git", "/b.git", "/deep/c.git", "/gone.git"}, names()); diff != "" {
		t.Errorf("a tree that was there before (-want +got):\n%s", diff)
	}
	// Another program adds what it knows, which stays.
	m := readManifest(t, base)
	m["/a.git"]["reference"], m["/a.git"]["symlinks"], m["/a.git"]["owner"] = "/b.git", []any{"/alias.git"}, "Somebody"
	others := m["/a.git"]
	writeManifest(t, base, m)
	before := readManifest(t, base)["/b.git"]["fingerprint"]
	git(t, "-C", work, "push", "-q", filepath.Join(base, "b.git"), "trunk:second")
	if err := os.RemoveAll(filepath.Join(base, "gone.git")); err != nil {
		t.Fatal(err)
	}
	closed(t, kept(t, base))
	m = readManifest(t, base)
	if diff := cmp.Diff(others, m["/a.git"]); diff != "" {
		t.Errorf("what others wrote (-want +got):\n%s", diff)
	}
	if m["/gone.git"] != nil || m["/b.git"]["fingerprint"] == before || m["/b.git"]["fingerprint"] != showRef(t, filepath.Join(base, "b.git")) {
		t.Errorf("after a push and a removal: %v", m)
	}
	// An adapter that ends at once says that it did not see everything.
	git(t, "-C", work, "push", "-q", filepath.Join(base, "a.git"), "trunk:late")
	long := time.Now().Add(-time.Hour)
	if err := os.Chtimes(filepath.Join(base, manifestName), long, long); err != nil {
		t.Fatal(err)
	}
	hasty := &manifest{open: newAdapter(t, Settings{BaseDirectory: base}).downstreamRoot, log: hclog.NewNullLogger(), dirty: map[string]struct{}{}}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := hasty.catchUp(ended); err == nil {
		t.Error("a walk that was stopped says that it saw everything")
	}
	hasty.dirty["b.git"] = struct{}{}
	delete(hasty.known, "/b.git")
	if err := hasty.write(); err != nil {
		t.Fatal(err)
	}
	closed(t, kept(t, base))
	if got, want := readManifest(t, base)["/a.git"]["fingerprint"], showRef(t, filepath.Join(base, "a.git")); got != want {
		t.Errorf("a push before a walk that was stopped is missed: %v, want %v", got, want)
	}
	// A broken one is made anew.
	if err := os.WriteFile(filepath.Join(base, manifestName), []byte("no gzip"), 0o600); err != nil {
		t.Fatal(err)
	}
	closed(t, kept(t, base))
	if diff := cmp.Diff([]string{"/a.git", "/b.git", "/deep/c.git"}, names()); diff != "" {
		t.Errorf("made anew (-want +got):\n%s", diff)
	}
	if left, _ := filepath.Glob(filepath.Join(base, ".manifest*tmp*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

func writeManifest(t *testing.T, base string, m any) {
	t.Helper()
	f, err := os.Create(filepath.Join(base, manifestName))
	if err != nil {
		t.Fatal(err)
	}
	packed := gzip.NewWriter(f)
	if err := json.NewEncoder(packed).Encode(m); err != nil {
		t.Fatal(err)
	}
	if err := packed.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// Two cores keep the manifest of one tree, and a third program reads it.
func TestManifestOfTwoWritersIsNeverHalf(t *testing.T) {
	t.Parallel()
	base, work := t.TempDir(), worktree(t)
	const repositories = 12
	a := newAdapter(t, Settings{BaseDirectory: base})
	alone := func() *manifest { // written by this test alone, without a pause
		return &manifest{open: a.downstreamRoot, log: hclog.NewNullLogger(), dirty: map[string]struct{}{}}
	}
	writers := []*manifest{alone(), alone()}
	stop := make(chan struct{})
	var reader, all sync.WaitGroup
	reads := 0
	reader.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := os.Stat(filepath.Join(base, manifestName)); err == nil {
				readManifest(t, base)
				reads++
			}
		}
	})
	for i, m := range writers {
		all.Go(func() {
			for n := range repositories {
				path := fmt.Sprintf("w%d/r%d", i, n)
				have, err := a.Ensure(t.Context(), sdk.Want{Path: path})
				if err != nil {
					t.Error(err)
					return
				}
				git(t, "-C", work, "push", "-q", have.URL, "trunk")
				m.later(path + ".git")
				if err := m.write(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	close(stop)
	reader.Wait()
	if n := len(readManifest(t, base)); n != 2*repositories || reads == 0 {
		t.Errorf("the manifest has %d of %d repositories after %d reads", n, 2*repositories, reads)
	}
}

func TestManifestThatCannotBeWrittenIsTold(t *testing.T) {
	t.Parallel()
	base, work := t.TempDir(), worktree(t)
	mkdir(t, base, manifestName, "in", "the", "way")
	a := kept(t, base)
	have, err := a.Ensure(t.Context(), sdk.Want{Path: "x"})
	if err != nil {
		t.Fatal(err)
	}
	git(t, "-C", work, "push", "-q", have.URL, "trunk")
	if err := a.AfterPush(t.Context(), sdk.Want{Path: "x"}); err != nil {
		t.Errorf("a job fails for the manifest: %v", err)
	}
	if err := a.Close(); err == nil {
		t.Error("the manifest was written over a directory")
	}
	report, err := a.Check(t.Context())
	if err != nil || len(report.Diagnostics) != 1 || report.Diagnostics[0].Path != "manifest" {
		t.Errorf("check: %+v, %v", report, err)
	}
}

// A web server that knows nothing of git serves what was pushed.
func TestRepositoriesForServersOnTop(t *testing.T) {
	t.Parallel()
	base, work := t.TempDir(), worktree(t)
	plain := newAdapter(t, Settings{BaseDirectory: base})
	if _, err := plain.Ensure(t.Context(), sdk.Want{Path: "repo"}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"git-daemon-export-ok", "info/refs"} {
		if _, err := os.Stat(filepath.Join(base, "repo.git", name)); err == nil {
			t.Errorf("%s is there without being asked for", name)
		}
	}
	a := newAdapter(t, Settings{BaseDirectory: base, ServerInfo: true, ExportOK: true})
	web := httptest.NewServer(http.FileServer(http.Dir(base)))
	t.Cleanup(web.Close)
	for _, path := range []string{"repo", "new/one"} { // an old one and a new one
		for range 2 {
			if _, err := a.Ensure(t.Context(), sdk.Want{Path: path}); err != nil {
				t.Fatal(err)
			}
		}
		dir := filepath.Join(base, path+".git")
		if _, err := os.Stat(filepath.Join(dir, "git-daemon-export-ok")); err != nil {
			t.Error(err)
		}
		if got := git(t, "--git-dir", dir, "config", "--get-all", "receive.updateServerInfo"); got != "true" {
			t.Errorf("receive.updateServerInfo is %q", got)
		}
		git(t, "clone", "-q", web.URL+"/"+path+".git", filepath.Join(t.TempDir(), "of-nothing"))
		for _, branch := range []string{"trunk", "next"} {
			git(t, "-C", work, "push", "-q", dir, "trunk:"+branch, "v1")
		}
		copied := filepath.Join(t.TempDir(), "copy")
		git(t, "clone", "-q", "--mirror", web.URL+"/"+path+".git", copied)
		if diff := cmp.Diff(git(t, "--git-dir", dir, "show-ref"), git(t, "--git-dir", copied, "show-ref")); diff != "" {
			t.Errorf("over plain HTTP (-want +got):\n%s", diff)
		}
	}
}
