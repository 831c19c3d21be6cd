package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"syscall"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/settings"
	"github.com/lorry-controller/lorry-controller/core/statedb"
)

// openStateDB opens the STATEDB of the settings. What is wrong with it is told
// with the place where it is named.
func openStateDB(ctx context.Context, c settings.Controller, o statedb.Options) (*statedb.DB, error) {
	o.URL = c.StateDB.Reveal()
	db, err := statedb.Open(ctx, o)
	return db, stateDBError(c, err)
}

// stateDBError names the setting, and the database as far as it may be shown.
func stateDBError(c settings.Controller, err error) error {
	if err == nil {
		return nil
	}
	named := c.StateDB.Reveal()
	var file *fs.PathError
	var told *core.Error
	if errors.As(err, &file) && !errors.As(err, &told) {
		err = badStateDBFile(named, file.Err)
	}
	return fmt.Errorf("%s: %s: %w", cmp.Or(c.StateDBSource, "statedb"), stateDBName(named), err)
}

// stateDBName is the database without user, password and parameters.
func stateDBName(text string) string {
	if !statedb.IsPostgres(text) {
		return text
	}
	u, err := url.Parse(text)
	if err != nil {
		return "postgres://…"
	}
	return (&url.URL{Scheme: u.Scheme, Host: cmp.Or(u.Host, u.Query().Get("host")), Path: u.Path}).String()
}

// badStateDBFile tells why the file of an SQLite STATEDB can't be opened.
func badStateDBFile(path string, err error) error {
	if at, statErr := os.Stat(path); statErr != nil || at.IsDir() || !errors.Is(err, fs.ErrPermission) {
		return badStateDB(path, err)
	}
	return &core.Error{
		Kind: core.KindUnavailable, Err: err, Fact: fmt.Sprintf("the state database %q can't be read and written: %v", path, err),
		Hint: "give the user of this program the right to read and to write it, and its directory, or name another one with statedb",
	}
}

// badStateDB tells why the file of an SQLite STATEDB can't be made or locked.
func badStateDB(path string, err error) error {
	dir, hint := filepath.Dir(path), "give this user the right to write to that directory, since SQLite keeps files beside its own, or name another place with statedb"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		hint = "make the directory, or name another place with statedb"
	case errors.Is(err, syscall.EROFS):
		hint = "mount its file system for writing, or name another place with statedb"
	case errors.Is(err, syscall.ENOSPC):
		hint = "free some space on the file system of the state database"
	case errors.Is(err, syscall.EISDIR):
		return &core.Error{
			Kind: core.KindInvalid, Err: err, Fact: fmt.Sprintf("the state database %q is a directory", path),
			Hint: "name the file in it: statedb = " + filepath.Join(path, "state.db"),
		}
	}
	return &core.Error{
		Kind: core.KindUnavailable, Err: err, Hint: hint,
		Fact: fmt.Sprintf("the directory %q of the state database can't be written to: %v", dir, err),
	}
}
