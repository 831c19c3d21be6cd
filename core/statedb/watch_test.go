package statedb_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb"
)

// What is written to a file that was deleted or replaced is not acknowledged,
// and told; when the file is put back all goes on.
func TestADeletedStateDatabaseIsNoticed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		file string // that the change is made to
		want string
		harm func(path string) error
	}{
		{"deleted", "state.db", "was deleted", func(string) error { return nil }},
		{"replaced", "state.db", "was replaced", func(path string) error { return os.WriteFile(path, nil, 0o600) }},
		{"its journal deleted", "state.db-wal", "was deleted", func(string) error { return nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			var log bytes.Buffer
			db, err := statedb.Open(t.Context(), statedb.Options{
				URL: filepath.Join(dir, "state.db"), Log: hclog.New(&hclog.LoggerOptions{Output: &log}),
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			q := queue.New(queue.Options{Store: db})
			if err := errors.Join(db.Ping(t.Context()), q.SetRunning(t.Context(), true)); err != nil {
				t.Fatal(err)
			}
			path, aside := filepath.Join(dir, c.file), filepath.Join(dir, "aside")
			if err := errors.Join(os.Rename(path, aside), c.harm(path)); err != nil {
				t.Fatal(err)
			}
			for name, call := range map[string]func() error{
				"write": func() error { return q.SetRunning(t.Context(), false) },
				"ready": func() error { return db.Ping(t.Context()) },
			} {
				var e *core.Error
				if err := call(); !errors.As(err, &e) || e.Kind != core.KindUnavailable || e.Hint == "" || !strings.Contains(e.Fact, c.want) {
					t.Errorf("%s: want it %s and what to do, got %v", name, c.want, err)
				}
			}
			if n := strings.Count(log.String(), "the state database is gone"); n != 1 {
				t.Errorf("the log says %d times that it is gone:\n%s", n, log.String())
			}
			if err := os.Rename(aside, path); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(q.SetRunning(t.Context(), true), db.Ping(t.Context())); err != nil {
				t.Errorf("after it was put back: %v", err)
			}
			if !strings.Contains(log.String(), "the state database is back") {
				t.Errorf("the log does not say that it is back:\n%s", log.String())
			}
		})
	}
}
