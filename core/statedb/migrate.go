package statedb

import (
	"context"
	"crypto/sha256"
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

//go:embed migrations
var migrationFiles embed.FS

// Migration is one step of the schema.
type Migration struct {
	Version int64
	Name    string
	SQL     string
	SHA256  string
	// Applied is when the step was made in this database; zero while it waits.
	Applied time.Time
}

// readMigrations reads files named NUMBER_NAME.sql, numbered from 1 without a
// gap.
func readMigrations(files fs.FS, dir string) ([]Migration, error) {
	names, err := fs.Glob(files, dir+"/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var all []Migration
	for i, path := range names {
		number, name, ok := strings.Cut(strings.TrimSuffix(path[len(dir)+1:], ".sql"), "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil || !ok || version != int64(i+1) {
			return nil, core.Errorf(core.KindInternal, "migration %q is not number %d", path, i+1)
		}
		text, err := fs.ReadFile(files, path)
		if err != nil {
			return nil, err
		}
		all = append(all, Migration{Version: version, Name: name, SQL: string(text), SHA256: fmt.Sprintf("%x", sha256.Sum256(text))})
	}
	return all, nil
}

// MigrationStatus lists the steps with the time when each was applied here.
func (db *DB) MigrationStatus(ctx context.Context) ([]Migration, error) {
	var all []Migration
	err := db.tx(ctx, func(ctx context.Context, tx *txn) error {
		known, err := db.known()
		if err != nil {
			return err
		}
		all, err = tx.migrationStatus(ctx, known)
		return err
	})
	return all, err
}

// Migrate makes the steps that wait, each in one transaction, and lists them.
// Several cores may call it at once.
func (db *DB) Migrate(ctx context.Context) ([]Migration, error) {
	known, err := db.known()
	if err != nil {
		return nil, err
	}
	return db.migrate(ctx, known)
}

func (db *DB) known() ([]Migration, error) {
	return readMigrations(migrationFiles, "migrations/"+db.dialect.name)
}

func (db *DB) migrate(ctx context.Context, known []Migration) ([]Migration, error) {
	var made []Migration
	for {
		var step *Migration
		err := db.tx(ctx, func(ctx context.Context, tx *txn) (err error) {
			step, err = tx.migrateOne(ctx, known, db.clock())
			return err
		})
		if err != nil || step == nil {
			return made, err
		}
		db.log.Info("schema migrated", "version", step.Version, "name", step.Name)
		made = append(made, *step)
	}
}

// migrateOne makes the first step that waits; nil when none does.
func (t *txn) migrateOne(ctx context.Context, known []Migration, now time.Time) (*Migration, error) {
	if t.d.name == postgresName {
		// Other cores that start now wait here; the number is arbitrary.
		if err := t.script(ctx, `SELECT pg_advisory_xact_lock(7165501)`); err != nil {
			return nil, describe("locking the schema", err)
		}
	}
	all, err := t.migrationStatus(ctx, known)
	if err != nil {
		return nil, err
	}
	for _, m := range all {
		if !m.Applied.IsZero() {
			continue
		}
		if m.Version == 1 {
			err := t.script(ctx, `CREATE TABLE schema_migrations (version BIGINT NOT NULL PRIMARY KEY,
				name TEXT NOT NULL, sha256 TEXT NOT NULL, applied_at BIGINT NOT NULL)`)
			if err != nil {
				return nil, describe("making the table of migrations", err)
			}
		}
		if err := t.script(ctx, m.SQL); err != nil {
			return nil, describe(fmt.Sprintf("migration %04d_%s", m.Version, m.Name), err)
		}
		m.Applied = now.UTC()
		_, err := t.change(ctx, "recording a migration",
			`INSERT INTO schema_migrations (version, name, sha256, applied_at) VALUES ($1, $2, $3, $4)`,
			m.Version, m.Name, m.SHA256, micros(m.Applied))
		return &m, err
	}
	return nil, nil
}

// migrationStatus compares what was applied with what is known, and refuses a
// database that is newer, was changed, or is somebody else's.
func (t *txn) migrationStatus(ctx context.Context, known []Migration) ([]Migration, error) {
	tables, err := collect(ctx, t, scanText, t.d.tables)
	if err != nil {
		return nil, describe("listing its tables", err)
	}
	all := slices.Clone(known)
	if !slices.Contains(tables, "schema_migrations") {
		if len(tables) > 0 {
			return nil, core.Errorf(core.KindUnsupported,
				"state database: it has tables of another program (%s); name an empty database, or import an original STATEDB with import-statedb",
				strings.Join(tables, ", "))
		}
		return all, nil
	}
	applied, err := collect(ctx, t, scanMigration, `SELECT version, name, sha256, applied_at FROM schema_migrations ORDER BY version`)
	if err != nil {
		return nil, describe("reading the migrations", err)
	}
	for i, a := range applied {
		if i >= len(known) {
			return nil, core.Errorf(core.KindUnsupported,
				"state database: its schema has version %d and this program knows %d; use the program that made it, or a newer one",
				applied[len(applied)-1].Version, len(known))
		}
		if k := known[i]; a.Version != k.Version || a.SHA256 != k.SHA256 {
			return nil, core.Errorf(core.KindUnsupported,
				"state database: migration %04d_%s was applied as something else than this program has; restore the matching program or a backup",
				a.Version, a.Name)
		}
		all[i].Applied = a.Applied
	}
	return all, nil
}

func scanMigration(s scanner) (Migration, error) {
	var m Migration
	var at int64
	err := s.Scan(&m.Version, &m.Name, &m.SHA256, &at)
	m.Applied = fromMicros(at)
	return m, err
}
