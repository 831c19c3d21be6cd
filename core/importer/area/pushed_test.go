package area

import (
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestPushed: the record keeps the sources; one of an earlier version is read
// without, and one for another address or half of one is none.
func TestPushed(t *testing.T) {
	t.Parallel()
	a, err := Open(t.Context(), t.TempDir(), "thing", time.Second, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if got := a.Pushed("https://example.com/a"); got.Refs != nil {
		t.Errorf("without a record: %v", got)
	}
	want := Pushed{
		Refs:    map[string]string{"refs/heads/up/main": "1", "refs/heads/old": "2"},
		Sources: map[string]string{"refs/heads/up/main": "refs/heads/main"},
	}
	if err := a.SetPushed("https://example.com/a", want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, a.Pushed("https://example.com/a")); diff != "" {
		t.Error(diff)
	}
	if got := a.Pushed("https://example.com/b"); got.Refs != nil {
		t.Errorf("of another address: %v", got)
	}
	for text, want := range map[string]Pushed{
		"lorry refs 1\nHEAD https://example.com/a\n1 refs/heads/main\nend\n": {Refs: map[string]string{"refs/heads/main": "1"}, Sources: map[string]string{}},
		"lorry pushed 2\nHEAD https://example.com/a\n1 refs/heads/main\n":    {},
	} {
		if err := os.WriteFile(a.Path(pushedName), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, a.Pushed("https://example.com/a")); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

// TestMeant: the note is no record, is for its address alone, and stays when room
// is made.
func TestMeant(t *testing.T) {
	t.Parallel()
	root, address := t.TempDir(), "https://example.com/a"
	a := open(t, root, "thing")
	none := Pushed{}
	if diff := cmp.Diff(none, a.Meant(address)); diff != "" {
		t.Error(diff)
	}
	want := Pushed{Refs: map[string]string{"refs/heads/up/main": "1"}, Sources: map[string]string{"refs/heads/up/main": "refs/heads/main"}}
	if err := a.SetMeant(address, want); err != nil {
		t.Fatal(err)
	}
	if err := a.Sweep(); err != nil {
		t.Fatal(err)
	}
	a.Close()
	if err := Evict(root, 1<<60, func(string) {}); err != nil {
		t.Fatal(err)
	}
	a = open(t, root, "thing")
	if diff := cmp.Diff(want, a.Meant(address)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]Pushed{none, none}, []Pushed{a.Pushed(address), a.Meant("https://example.com/b")}); diff != "" {
		t.Error(diff)
	}
	for range 2 {
		if err := a.DropMeant(); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(none, a.Meant(address)); diff != "" {
			t.Error(diff)
		}
	}
}

// TestPushedWith: what was meant counts where it is there exactly so, before what
// is on record; no record and nothing found remain no record.
func TestPushedWith(t *testing.T) {
	t.Parallel()
	refs := func(names ...string) Pushed {
		p := Pushed{Refs: map[string]string{}, Sources: map[string]string{}}
		for i := 0; i < len(names); i += 3 {
			p.Refs[names[i]], p.Sources[names[i]] = names[i+1], names[i+2]
		}
		return p
	}
	there := map[string]string{"a": "2", "b": "1", "c": "9"}
	for name, test := range map[string]struct{ record, meant, want Pushed }{
		"neither":         {Pushed{}, Pushed{}, Pushed{}},
		"no note":         {refs("a", "1", "up/a"), Pushed{}, refs("a", "1", "up/a")},
		"no record":       {Pushed{}, refs("a", "2", "up/a", "c", "3", "up/c"), refs("a", "2", "up/a")},
		"nothing is so":   {Pushed{}, refs("a", "1", "up/a", "d", "1", "up/d"), Pushed{}},
		"both":            {refs("a", "1", "up/a", "d", "1", "up/d"), refs("a", "2", "other/a", "b", "1", "up/b"), refs("a", "2", "other/a", "b", "1", "up/b", "d", "1", "up/d")},
		"as it was":       {refs("b", "1", "up/b"), refs("b", "2", "up/b"), refs("b", "1", "up/b")},
		"an earlier form": {Pushed{Refs: map[string]string{"b": "1"}}, refs("a", "2", "up/a"), Pushed{Refs: map[string]string{"a": "2", "b": "1"}, Sources: map[string]string{"a": "up/a"}}},
	} {
		if diff := cmp.Diff(test.want, test.record.With(test.meant.Found(there))); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
