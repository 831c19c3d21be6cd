package statedb_test

import (
	"testing"

	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

// With rapid's 100 sequences these are 20,000 steps in all.
func TestTheQueueIsAsItsModelOnSQLite(t *testing.T) {
	t.Parallel()
	statedbtest.Model(t, sqliteFile(t), soak(150, 10_000))
}

func TestTheQueueIsAsItsModelOnPostgreSQL(t *testing.T) {
	t.Parallel()
	statedbtest.Model(t, postgres(t), soak(50, 10_000))
}
