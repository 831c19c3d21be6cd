package confgit

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
)

func TestParseInterval(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"2H": 2 * time.Hour, "4h": 4 * time.Hour, "30m": 30 * time.Minute, "1d": 24 * time.Hour, "1 D": 24 * time.Hour,
		"90": 90 * time.Second, "5s": 5 * time.Second, " 7 m ": 7 * time.Minute, "2 hours": 2 * time.Hour, "0m": 0,
	} {
		if got, _, err := ParseInterval(text); err != nil || got != want {
			t.Errorf("%q: got %s, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "h", "-1h", "x", "999999999d", "99999999999"} {
		if got, _, err := ParseInterval(text); err == nil {
			t.Errorf("%q: got %s, want an error", text, got)
		}
	}
}

func TestMapPath(t *testing.T) {
	t.Parallel()
	rules := []core.PrefixRule{{From: "foo", To: "bar"}, {From: "a/b", To: ""}, {From: "a", To: "deep/er"}}
	for path, want := range map[string]string{
		"foo/baserock/yeehaa": "bar/baserock/yeehaa", "foobar/x": "", "foo": "", "a/b/c": "c", "a/x": "deep/er/x", "z": "",
	} {
		got, ok := MapPath(rules, path)
		if got != want || ok != (want != "") {
			t.Errorf("%q: got %q, %t; want %q", path, got, ok, want)
		}
	}
	if got, ok := MapPath([]core.PrefixRule{{From: "", To: "n"}}, "x"); !ok || got != "n/x" {
		t.Errorf("an empty prefix does not map everything: %q, %t", got, ok)
	}
}

func TestGlobs(t *testing.T) {
	t.Parallel()
	f := newFiles([]string{"a.lorry", "b.lorry", "ab.lorry", ".h.lorry", "d/c.lorry", "d/.x/e.lorry", "d/x-1.lorry", "d/x-].lorry", "c.json"})
	for glob, want := range map[string]string{
		"*.lorry": "a.lorry ab.lorry b.lorry", "?.lorry": "a.lorry b.lorry", "[ab].lorry": "a.lorry b.lorry", "[!a]*.lorry": "b.lorry",
		".*.lorry": ".h.lorry", "d/*": "d/c.lorry d/x-1.lorry d/x-].lorry", "*/c.lorry": "d/c.lorry", "d/.x/*": "d/.x/e.lorry", "./a.lorry": "a.lorry",
		"a.lorry": "a.lorry", "none*": "", "[a.lorry": "", "d/x-[]0-9].lorry": "d/x-1.lorry d/x-].lorry", "*": "a.lorry ab.lorry b.lorry c.json",
	} {
		got, err := f.glob(glob)
		if diff := cmp.Diff(want, strings.Join(got, " ")); err != nil || diff != "" {
			t.Errorf("%q: %v %s", glob, err, diff)
		}
	}
	for _, glob := range []string{"/etc/*", "../x", "a/../b", "[z-a]"} {
		if got, err := f.glob(glob); err == nil {
			t.Errorf("%q: got %q, want an error", glob, got)
		}
	}
}

func TestPatternsMatchSlashes(t *testing.T) {
	t.Parallel()
	p, err := CompilePattern("foo/*-priv*")
	if err != nil || !p.Match("foo/a/b-private/c") || p.Match("x/foo/a-priv") {
		t.Error("a pattern over repository paths does not match like fnmatch", err)
	}
}

func FuzzInterval(f *testing.F) {
	f.Add("2H")
	f.Fuzz(func(t *testing.T, text string) {
		if d, _, err := ParseInterval(text); err == nil && d < 0 {
			t.Errorf("%q is %s", text, d)
		}
	})
}

func FuzzGlob(f *testing.F) {
	f.Add("a/[!b]*", "a/c")
	f.Fuzz(func(t *testing.T, glob, path string) {
		files := newFiles([]string{path})
		if found, err := files.glob(glob); err == nil && len(found) > 1 {
			t.Errorf("%q finds %q in %q", glob, found, path)
		}
	})
}
