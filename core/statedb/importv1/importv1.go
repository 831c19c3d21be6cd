// Package importv1 reads a STATEDB of the original Lorry Controller into ours:
// the Lorries with their running state, the hosts, the jobs with their output,
// the queue's switch and max-jobs.
//
// It looks at what the old file has instead of expecting a version, since the
// names changed over the years, and never writes to it. Passwords stay behind.
package importv1

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/statedb"
)

// Report says what came over. What was there before is not counted.
type Report struct {
	Lorries, Hosts, Jobs int
	// Interrupted counts the jobs that had not ended; they are ended as lost.
	Interrupted int
	// Passwords counts the texts from which a password was left out.
	Passwords int
	// Notes tell, one line each, what could not be used.
	Notes []string
}

// batch is how many rows go into one transaction.
const batch = 200

// Import reads the file at path into db. It can be run again: what is there
// stays as it is. A file that is no STATEDB is core.KindInvalid.
func Import(ctx context.Context, path string, db *statedb.DB) (Report, error) {
	var r Report
	old, err := open(ctx, path)
	if err != nil {
		return r, err
	}
	if old.tables["schema_migrations"] != nil {
		return r, errors.Join(&core.Error{
			Kind: core.KindInvalid, Fact: fmt.Sprintf("%q is a state database of this program, not of the original", path),
			Hint: "it needs no import: name it with statedb",
		}, old.db.Close())
	}
	into, err := db.StartImport(ctx, filepath.Base(path))
	if err == nil {
		err = old.importAll(ctx, into, &r)
	}
	// What was there before has not come over a second time.
	r.Interrupted, r.Passwords = min(r.Interrupted, r.Jobs), min(r.Passwords, r.Lorries+r.Jobs)
	return r, errors.Join(err, old.db.Close())
}

// source is an old STATEDB and the columns of its tables.
type source struct {
	db     *sql.DB
	tables map[string]map[string]bool
}

func open(ctx context.Context, path string) (*source, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, &core.Error{
			Kind: core.KindInvalid, Err: err, Fact: fmt.Sprintf("the old state database can't be read: %v", err),
			Hint: "its name is what the original's setting statedb says",
		}
	}
	if info.IsDir() {
		return nil, &core.Error{
			Kind: core.KindInvalid, Fact: fmt.Sprintf("the old state database %q is a directory", path),
			Hint: "name the file in it that the original's setting statedb names",
		}
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	dsn := url.URL{Scheme: "file", Path: abs, RawQuery: url.Values{"mode": {"ro"}, "_pragma": {"query_only(1)", "busy_timeout(5000)"}}.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, err
	}
	s := &source{db: db, tables: map[string]map[string]bool{}}
	if err := s.look(ctx); err != nil {
		hint := "name the SQLite file that the original's setting statedb names; one that is damaged has to come from a backup"
		if strings.Contains(err.Error(), "SQLITE_BUSY") {
			hint = "another program writes to it: stop the original's daemon and its timers first"
		}
		return nil, errors.Join(&core.Error{
			Kind: core.KindInvalid, Err: err, Hint: hint, Fact: fmt.Sprintf("the old state database %q can't be read: %v", path, err),
		}, db.Close())
	}
	if s.tables["lorries"] == nil || s.tables["jobs"] == nil {
		return nil, errors.Join(core.Errorf(core.KindInvalid, "%q is no state database of the original: it has no tables lorries and jobs", path), db.Close())
	}
	return s, nil
}

// look reads which tables and columns there are.
func (s *source) look(ctx context.Context) error {
	return s.each(ctx, `SELECT m.name, p.name FROM sqlite_master m JOIN pragma_table_info(m.name) p WHERE m.type = 'table'`, 2, func(v []any) error {
		table := text(v[0])
		if s.tables[table] == nil {
			s.tables[table] = map[string]bool{}
		}
		s.tables[table][text(v[1])] = true
		return nil
	})
}

// each calls do with the values of every row.
func (s *source) each(ctx context.Context, query string, columns int, do func(v []any) error) (err error) {
	rows, err := s.db.QueryContext(ctx, query)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		v := make([]any, columns)
		dest := make([]any, columns)
		for i := range v {
			dest[i] = &v[i]
		}
		if err := rows.Scan(dest...); err != nil {
			return err
		}
		if err := do(v); err != nil {
			return err
		}
	}
	return rows.Err()
}

// read is each over columns of a table; each column is a list of the names that
// it has had, and NULL when the table has none of them.
func (s *source) read(ctx context.Context, table, order string, columns [][]string, do func(v []any) error) error {
	query := "SELECT "
	for i, names := range columns {
		if i > 0 {
			query += ", "
		}
		expression := "NULL"
		for _, n := range names {
			if s.tables[table][n] {
				expression = `"` + n + `"`
				break
			}
		}
		query += expression
	}
	query += fmt.Sprintf(` FROM "%s"`, table)
	if order != "" {
		query += ` ORDER BY "` + order + `"`
	}
	return s.each(ctx, query, len(columns), do)
}

func (s *source) importAll(ctx context.Context, into statedb.Import, r *Report) error {
	if err := s.queue(ctx, into); err != nil {
		return fmt.Errorf("the switch of the old queue: %w", err)
	}
	if err := s.hosts(ctx, into, r); err != nil {
		return fmt.Errorf("the hosts of the old state database: %w", err)
	}
	successes, err := s.jobs(ctx, into, r)
	if err != nil {
		return fmt.Errorf("the jobs of the old state database: %w", err)
	}
	if err := s.lorries(ctx, into, successes, r); err != nil {
		return fmt.Errorf("the Lorries of the old state database: %w", err)
	}
	return nil
}
