package importv1

import (
	"context"
	"errors"
	"os"
)

// Recognise reports whether the file at path is a STATEDB of the original, as
// opposed to one of ours, a missing or an empty file, or something else.
func Recognise(ctx context.Context, path string) (bool, error) {
	if info, err := os.Stat(path); err != nil || info.Size() == 0 || !info.Mode().IsRegular() {
		return false, nil
	}
	old, err := open(ctx, path)
	if err != nil {
		return false, nil // whoever opens it says what it is
	}
	return old.tables["schema_migrations"] == nil, errors.Join(old.db.Close())
}
