package statedb_test

import (
	"os"
	"strconv"
	"testing"

	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

// modelSteps is the length of each sequence of the model test: with rapid's 100
// sequences about 20,000 steps in all. LORRY_TEST_MODEL_STEPS sets another one.
func modelSteps(t *testing.T, usual int) int {
	t.Helper()
	env := os.Getenv("LORRY_TEST_MODEL_STEPS")
	if env == "" {
		return usual
	}
	n, err := strconv.Atoi(env)
	if err != nil {
		t.Fatalf("LORRY_TEST_MODEL_STEPS: %v", err)
	}
	return n
}

func TestTheQueueIsAsItsModelOnSQLite(t *testing.T) {
	t.Parallel()
	statedbtest.Model(t, sqliteFile(t), modelSteps(t, 150))
}

func TestTheQueueIsAsItsModelOnPostgreSQL(t *testing.T) {
	t.Parallel()
	statedbtest.Model(t, postgres(t), modelSteps(t, 50))
}
