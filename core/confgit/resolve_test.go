package confgit

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
)

func TestResolveFindsCommitsBranchesAndRefs(t *testing.T) {
	t.Parallel()
	git, work := needGit(t), filepath.Join(t.TempDir(), "work")
	first := commitFiles(t, work, "trunk", map[string]string{ConfFile: oneSection, "foo.lorry": fooLorry})
	s := NewSource(Options{Git: git, URL: work, Branch: "trunk", Mirror: filepath.Join(t.TempDir(), "confgit")})
	if got, err := s.Update(t.Context()); err != nil || got != first {
		t.Fatalf("got %q, %v", got, err)
	}
	run := func(args ...string) {
		t.Helper()
		runGit(t, work, args...)
	}
	run("checkout", "-q", "-b", "topic/x")
	second := commitFiles(t, work, "topic/x", map[string]string{"bar.lorry": strings.ReplaceAll(fooLorry, "foo", "bar")})
	run("update-ref", "refs/merge-requests/7/head", second)
	run("checkout", "-q", "trunk")
	for _, test := range []struct{ rev, want string }{
		{"", first}, {first, first}, {first[:9], first}, {"topic/x", second}, {"refs/merge-requests/7/head", second}, {second, second}, {second[:9], second}, {"trunk", first},
	} {
		if got, err := s.Resolve(t.Context(), test.rev); err != nil || got != test.want {
			t.Errorf("%q: want %s, got %q, %v", test.rev, test.want, got, err)
		}
	}
	c, err := s.Read(t.Context(), second)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"p/bar", "p/foo"}, paths(c)); diff != "" {
		t.Error(diff)
	}
	for rev, kind := range map[string]core.Kind{
		"none": core.KindNotFound, strings.Repeat("0", 40): core.KindNotFound, "--upload-pack=x": core.KindInvalid, "a..b": core.KindInvalid,
		"a b": core.KindInvalid, ":refs/heads/x": core.KindInvalid, "trunk^": core.KindInvalid,
	} {
		if _, err := s.Resolve(t.Context(), rev); err == nil || core.KindOf(err) != kind {
			t.Errorf("%q: want an error of kind %s, got %v", rev, kind, err)
		}
	}
	if got, err := s.Update(t.Context()); err != nil || got != first {
		t.Errorf("planning moved what is read: %q, %v", got, err)
	}
}
