package statedb_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/statedb"
)

// The two schemas must not drift: the same tables with the same columns, types,
// nullability, keys and references, and the same indexes.
func TestBothSchemasAreTheSame(t *testing.T) {
	t.Parallel()
	lite := describeSchema(t, sqliteFile(t), `
		SELECT 'column ' || m.name || '.' || p.name || ' ' || CASE lower(p.type) WHEN 'integer' THEN 'bigint' ELSE lower(p.type) END
			|| CASE WHEN p."notnull" = 1 OR p.pk > 0 THEN ' not null' ELSE '' END
		FROM sqlite_master m JOIN pragma_table_info(m.name) p WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%'
		UNION ALL SELECT 'key ' || m.name || ' ' || p.pk || ' ' || p.name
		FROM sqlite_master m JOIN pragma_table_info(m.name) p WHERE m.type = 'table' AND p.pk > 0 AND m.name NOT LIKE 'sqlite_%'
		UNION ALL SELECT 'reference ' || m.name || '.' || f."from" || ' ' || f."table" || '.' || f."to" || ' ' || lower(f.on_delete)
		FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) f WHERE m.type = 'table'
		UNION ALL SELECT 'index ' || sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL`)
	pg := describeSchema(t, postgres(t), `
		SELECT 'column ' || table_name || '.' || column_name || ' ' || data_type || CASE is_nullable WHEN 'NO' THEN ' not null' ELSE '' END
		FROM information_schema.columns WHERE table_schema = 'public'
		UNION ALL SELECT 'key ' || table_name || ' ' || ordinal_position || ' ' || column_name
		FROM information_schema.table_constraints c JOIN information_schema.key_column_usage u USING (constraint_name, table_name)
		WHERE constraint_type = 'PRIMARY KEY' AND c.table_schema = 'public'
		UNION ALL SELECT 'reference ' || c.table_name || '.' || u.column_name || ' ' || k.table_name || '.' || k.column_name || ' ' || lower(delete_rule)
		FROM information_schema.table_constraints c JOIN information_schema.key_column_usage u USING (constraint_name)
		JOIN information_schema.referential_constraints r USING (constraint_name)
		JOIN information_schema.key_column_usage k ON k.constraint_name = r.unique_constraint_name AND k.ordinal_position = u.position_in_unique_constraint
		WHERE constraint_type = 'FOREIGN KEY'
		UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public'
			AND indexname NOT IN (SELECT constraint_name FROM information_schema.table_constraints)`)
	if diff := cmp.Diff(lite, pg); diff != "" {
		t.Errorf("SQLite has (-), PostgreSQL has (+):\n%s", diff)
	}
	if len(lite) < 80 {
		t.Errorf("only %d facts about the schema were read", len(lite))
	}
}

// spelling is what the two databases write differently in an index.
var spelling = regexp.MustCompile(`using btree |public\.|::text|[()]`)

func describeSchema(t *testing.T, url, query string) []string {
	t.Helper()
	db, err := statedb.Open(context.Background(), statedb.Options{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	facts, err := statedb.Texts(t.Context(), db, query)
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range facts {
		facts[i] = strings.Join(strings.Fields(spelling.ReplaceAllString(strings.ToLower(f), "")), " ")
	}
	slices.Sort(facts)
	return facts
}

func TestMigrationsAreNumberedWithoutAGap(t *testing.T) {
	t.Parallel()
	var names [][]string
	for _, url := range []string{"postgres://", "state.db"} {
		all, err := statedb.Migrations(url)
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		for _, m := range all {
			list = append(list, fmt.Sprint(m.Version, m.Name))
		}
		names = append(names, list)
	}
	if diff := cmp.Diff(names[0], names[1]); diff != "" {
		t.Errorf("the databases have different migrations:\n%s", diff)
	}
	for _, files := range []fs.FS{
		fstest.MapFS{"m/0002_x.sql": {}},
		fstest.MapFS{"m/0001_x.sql": {}, "m/0003_y.sql": {}},
		fstest.MapFS{"m/x.sql": {}},
	} {
		if _, err := statedb.ReadMigrations(files, "m"); err == nil {
			t.Errorf("%v were accepted", files)
		}
	}
}

func TestMigrationStatusSaysWhatWasApplied(t *testing.T) {
	t.Parallel()
	for _, d := range []func(testing.TB) string{sqliteFile, servers.URL} {
		db, err := statedb.Connect(t.Context(), statedb.Options{URL: d(t)})
		if err != nil {
			t.Fatal(err)
		}
		before, err := db.MigrationStatus(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(before) == 0 || !before[0].Applied.IsZero() {
			t.Errorf("want one that waits, got %v", before)
		}
		made, err := db.Migrate(t.Context())
		if err != nil || len(made) != len(before) {
			t.Errorf("want %d made, got %d: %v", len(before), len(made), err)
		}
		// One that fails leaves nothing behind.
		known := append(slices.Clone(before), statedb.Migration{
			Version: int64(len(before) + 1), Name: "broken", SQL: `CREATE TABLE half (a BIGINT); INSERT INTO none VALUES (1);`, SHA256: "x",
		})
		if _, err := statedb.MigrateTo(t.Context(), db, known); err == nil || core.KindOf(err) != core.KindInternal {
			t.Errorf("want a broken migration to fail, got %v", err)
		}
		after, err := db.MigrationStatus(t.Context())
		if err != nil || len(after) != len(before) || after[0].Applied.IsZero() {
			t.Errorf("want all applied, got %v: %v", after, err)
		}
		if err := statedb.Script(t.Context(), db, `CREATE TABLE half (a BIGINT)`); err != nil {
			t.Errorf("the broken migration left a table: %v", err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestANewerOrChangedSchemaAndAForeignDatabaseAreRefused(t *testing.T) {
	t.Parallel()
	for _, d := range databases {
		for _, sql := range []string{
			`INSERT INTO schema_migrations (version, name, sha256, applied_at) VALUES (9999, 'future', 'x', 1)`,
			`UPDATE schema_migrations SET sha256 = 'x'`,
			`DROP TABLE schema_migrations`,
		} {
			t.Run(d.name+" "+sql, func(t *testing.T) {
				t.Parallel()
				url := d.url(t)
				db, err := statedb.Open(t.Context(), statedb.Options{URL: url})
				if err != nil {
					t.Fatal(err)
				}
				if err := errors.Join(statedb.Script(t.Context(), db, sql), db.Close()); err != nil {
					t.Fatal(err)
				}
				db, err = statedb.Open(t.Context(), statedb.Options{URL: url})
				if err == nil {
					t.Fatal("it was opened: ", db.Close())
				}
				if diff := cmp.Diff(core.KindUnsupported, core.KindOf(err)); diff != "" {
					t.Error(err)
				}
			})
		}
	}
}
