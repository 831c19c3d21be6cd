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
