package repo_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core/importer/repo"
)

func TestRecord(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "record")
	var got map[string]int
	if repo.ReadRecord(path, &got) {
		t.Error("a record that was never written is there")
	}
	for _, want := range []map[string]int{{"one": 1}, {"two": 2, "three": 3}} {
		if err := repo.WriteRecord(path, want); err != nil {
			t.Fatal(err)
		}
		got = nil
		if ok, diff := repo.ReadRecord(path, &got), cmp.Diff(want, got); !ok || diff != "" {
			t.Errorf("read: %v (-want +got):\n%s", ok, diff)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("beside the record there is something: %v, %v", entries, err)
	}
	if err := os.WriteFile(path, []byte(`{"two": 2, "th`), 0o600); err != nil {
		t.Fatal(err)
	}
	if repo.ReadRecord(path, &got) {
		t.Error("half a record is taken")
	}
}
