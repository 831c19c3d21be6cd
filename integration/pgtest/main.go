package pgtest

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// Run is what the TestMain of a package with servers does: it runs the tests,
// stops the servers, looks for goroutines that are left, and gives the exit
// code.
func Run(m *testing.M, servers ...*Servers) int {
	code := m.Run()
	var errs []error
	for _, s := range servers {
		if err := s.Stop(); err != nil {
			errs = append(errs, fmt.Errorf("stop PostgreSQL: %w", err))
		}
	}
	if code == 0 {
		errs = append(errs, goleak.Find())
	}
	if err := errors.Join(errs...); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// New gives servers for one test, which end with it.
func New(t testing.TB) *Servers {
	t.Helper()
	return NewWAL(t, "")
}

// NewWAL is New for a server of our own with its log of changes in a directory.
func NewWAL(t testing.TB, dir string) *Servers {
	t.Helper()
	s := &Servers{WAL: dir}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}
