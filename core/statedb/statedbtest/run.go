package statedbtest

import "testing"

// test is one sentence that a STATEDB with a queue makes true.
type test struct {
	name string
	run  func(w *World)
}

// Run runs the suite. fresh gives the URL of a new, empty database that lives
// as long as its test.
func Run(t *testing.T, fresh func(t testing.TB) string) {
	t.Helper()
	for _, tests := range [][]test{queueTests(), askedTests(), storeTests(), accessTests(), faultTests(), findTests(), pushTests(), noticeTests(), retireTests()} {
		for _, c := range tests {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				w := NewWorld(t, fresh(t))
				c.run(w)
			})
		}
	}
	t.Run("a state database opens again as it was left", func(t *testing.T) {
		t.Parallel()
		reopen(t, fresh(t))
	})
}
