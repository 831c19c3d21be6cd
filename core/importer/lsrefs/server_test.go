package lsrefs

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// TestOneRequestOnceTheServerIsKnown holds that only the first repository of a
// server costs two requests, and that one which is not like the others is read
// all the same.
func TestOneRequestOnceTheServerIsKnown(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	thing := gittest.Seed(t, filepath.Join(dir, "thing.git"))
	gittest.Seed(t, filepath.Join(dir, "other.git"))
	odd := oddRepository(t, filepath.Join(dir, "odd.git"))
	s := gittest.NewServer(t, dir)
	r := reader(t)
	read := func(name string) Listing {
		t.Helper()
		l, err := r.Read(t.Context(), core.Access{URL: s.URL + "/" + name}, Options{Prefixes: []string{"refs/heads/", "refs/tags/"}})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return l
	}
	first := read("thing.git")
	if diff := cmp.Diff(first, read("other.git")) + cmp.Diff(first, read("thing.git")); diff != "" || len(first.Refs) != len(thing.Mirrored()) {
		t.Errorf("%s, %+v", diff, first)
	}
	want := []string{
		"GET /thing.git/info/refs?service=git-upload-pack", "POST /thing.git/git-upload-pack",
		"POST /other.git/git-upload-pack", "POST /thing.git/git-upload-pack",
	}
	if diff := cmp.Diff(want, s.Requests()); diff != "" {
		t.Error(diff)
	}
	if got := read("odd.git"); len(got.Refs) != 1 || got.Refs[0].Object != odd {
		t.Errorf("want %s, got %+v", odd, got)
	}
	if diff := cmp.Diff(first, read("thing.git")); diff != "" {
		t.Error(diff)
	}
	_, err := r.Read(t.Context(), core.Access{URL: s.URL + "/none.git"}, Options{})
	if kind := gitfail.From(err, gitfail.Upstream).Kind; err == nil || kind != core.FailGone {
		t.Errorf("got %q, %v", kind, err)
	}
}

// TestServerThatChangedItsMind is modern at first and then as old as one that
// knows nothing of the header which asks for version 2.
func TestServerThatChangedItsMind(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	gittest.Seed(t, filepath.Join(dir, "thing.git"))
	backend, err := gittest.Backend(dir)
	if err != nil {
		t.Fatal(err)
	}
	var old atomic.Bool
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if old.Load() {
			r.Header.Del("Git-Protocol")
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	r := reader(t)
	access := core.Access{URL: s.URL + "/thing.git"}
	want, err := r.Read(t.Context(), access, Options{})
	if err != nil {
		t.Fatal(err)
	}
	old.Store(true)
	for range 2 {
		got, err := r.Read(t.Context(), access, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

// oddRepository makes one whose objects have names of another kind, and gives
// the tip of its only branch.
func oddRepository(t *testing.T, dir string) string {
	t.Helper()
	r := gittest.OpenRepo(t, dir)
	r.Git("init", "-q", "--bare", "--object-format=sha256", "-b", "main")
	tip := r.Commit("refs/heads/main", "named by a longer digest")
	if len(tip) != 64 {
		t.Fatalf("got %q", tip)
	}
	return tip
}

// TestLongAnswersAreRefused: an upstream decides how long its list is, but not
// how much of the reader's memory it takes. A part of it is no listing.
func TestLongAnswersAreRefused(t *testing.T) {
	t.Parallel()
	r := reader(t)
	root := t.TempDir()
	repo := gittest.Seed(t, filepath.Join(root, "thing.git"))
	repo.Branches(200, "many")
	server := gittest.NewServer(t, root)
	for _, url := range []string{server.URL + "/thing.git", repo.Dir} {
		access := core.Access{URL: url}
		whole, err := r.Read(t.Context(), access, Options{})
		if err != nil || len(whole.Refs) < 200 {
			t.Fatalf("got %d refs, %v", len(whole.Refs), err)
		}
		for _, limit := range []int64{1, 100, 4 << 10, 8 << 10} {
			if l, err := r.Read(t.Context(), access, Options{Limit: limit}); err == nil || len(l.Refs) > 0 {
				t.Errorf("%s: %d refs in %d bytes, %v", url, len(l.Refs), limit, err)
			}
		}
		if l, err := r.Read(t.Context(), access, Options{Limit: 1 << 20}); err != nil || len(l.Refs) != len(whole.Refs) {
			t.Errorf("got %d refs, %v", len(l.Refs), err)
		}
	}
}
