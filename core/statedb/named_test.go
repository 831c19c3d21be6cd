package statedb_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/statedb"
)

func TestNamedParametersAreNumberedInTheirOrder(t *testing.T) {
	t.Parallel()
	values := map[string]any{"now": 1, "low_path": "p", "jobs": 3, "other": 4}
	for _, c := range []struct {
		name, text, want string
		args             []any
	}{
		{"none", "SELECT 1", "SELECT 1", []any{}},
		{"one", "SELECT @now", "SELECT $1", []any{1}},
		{"several, one of them twice", "(@jobs::text[])[n], @low_path) < @now AND @jobs", "($1::text[])[n], $2) < $3 AND $1", []any{3, "p", 1}},
	} {
		text, args, err := statedb.Numbered(c.text, values)
		if diff := cmp.Diff([]any{c.want, c.args}, []any{text, args}); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", c.name, err, diff)
		}
	}
	if _, _, err := statedb.Numbered("SELECT @now, @unknown", values); core.KindOf(err) != core.KindInternal {
		t.Errorf("want a parameter without a value to be refused, got %v", err)
	}
}
