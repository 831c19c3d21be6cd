package area

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
)

func open(t *testing.T, root, name string) *Area {
	t.Helper()
	a, err := Open(t.Context(), root, name, time.Second, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

func TestOneRunAtATime(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	a := open(t, root, "x/y")
	if want := filepath.Join(root, "x_y", "git"); a.GitDir() != want {
		t.Errorf("want %s, got %s", want, a.GitDir())
	}
	_, err := Open(t.Context(), root, "x/y", 10*time.Millisecond, time.Now)
	if err == nil || !strings.Contains(err.Error(), "another run works on") {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, root, "x/y", time.Hour, time.Now); gitfail.From(err, gitfail.Local).Kind != core.FailKilled {
		t.Errorf("got %v", err)
	}
	a.Close()
	open(t, root, "x/y")
}

func TestJournal(t *testing.T) {
	t.Parallel()
	a := open(t, t.TempDir(), "x")
	if _, unfinished, err := a.Unfinished(); unfinished || err != nil {
		t.Fatalf("got %v, %v", unfinished, err)
	}
	want := State{Head: "refs/heads/main", Refs: map[string]string{"refs/heads/main": "1111", "refs/tags/a b": "2222"}}
	if err := a.Begin(want); err != nil {
		t.Fatal(err)
	}
	got, unfinished, err := a.Unfinished()
	if diff := cmp.Diff(want, got); diff != "" || !unfinished || err != nil {
		t.Errorf("%v, %v: %s", unfinished, err, diff)
	}
	for range 2 {
		if err := a.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	if _, unfinished, _ := a.Unfinished(); unfinished {
		t.Error("the record is still there")
	}
}

func TestPushNote(t *testing.T) {
	t.Parallel()
	a := open(t, t.TempDir(), "x")
	if dir, _ := a.UnfinishedPush(); dir != "" {
		t.Errorf("got %q", dir)
	}
	before := time.Now()
	if err := a.BeginPush("/srv/down.git"); err != nil {
		t.Fatal(err)
	}
	if dir, start := a.UnfinishedPush(); dir != "/srv/down.git" || start.Before(before.Add(-time.Second)) {
		t.Errorf("got %q, %v", dir, start)
	}
	if err := errors.Join(a.EndPush(), a.EndPush()); err != nil {
		t.Fatal(err)
	}
}

func TestSweepAndAdoption(t *testing.T) {
	t.Parallel()
	a := open(t, t.TempDir(), "x")
	temp, err := a.Temp()
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"git-a", "git-b"} {
		objects := a.Path(filepath.Join(name, "objects"))
		if err := os.MkdirAll(objects, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(a.Path(filepath.Join(name, "mark")), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
		when := time.Unix(1700000000+int64(i), 0)
		if err := os.Chtimes(objects, when, when); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Sweep(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(temp); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there", temp)
	}
	if mark, err := os.ReadFile(filepath.Join(a.GitDir(), "mark")); err != nil || string(mark) != "git-b" {
		t.Errorf("got %q, %v", mark, err)
	}
}

func FuzzJournal(f *testing.F) {
	f.Add("lorry refs 1\nHEAD refs/heads/main\n11 refs/heads/main\nend\n")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := parseJournal(text); err == nil && s.Refs == nil {
			t.Error("no refs and no error")
		}
	})
}
