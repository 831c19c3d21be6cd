package statedb

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/lorry-controller/lorry-controller/core"
)

// The names of the dialects, and of the folders of their migrations.
const sqliteName, postgresName = "sqlite", "postgres"

// dialect is what differs between the two databases.
type dialect struct {
	name string // also the folder of its migrations
	// lock and skip follow a SELECT whose rows are about to be changed: they
	// wait for others, or pass over what others have locked. share follows one
	// whose rows must stay as they are until the commit. %s names a table.
	lock, skip, share string
	// rows makes a table of the columns ("name type") out of the JSON array of
	// objects in parameter $1.
	rows func(alias string, cols []string) string
	// tables lists the tables, for the guard against foreign databases.
	tables string
	// now asks for the server's time in microseconds; "" where there is no server.
	now string
	// texts are the statements that perRow has made, named those with named
	// parameters.
	texts *texts
	named *namedTexts
}

func sqliteDialect() dialect {
	return dialect{
		name:   sqliteName,
		rows:   sqliteRows,
		texts:  newTexts(),
		tables: `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`,
	}
}

func postgresDialect() dialect {
	return dialect{
		name:  postgresName,
		lock:  " FOR UPDATE OF %s",
		skip:  " FOR UPDATE OF %s SKIP LOCKED",
		share: " FOR SHARE OF %s",
		rows:  postgresRows,
		now:   `SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)`,
		texts: newTexts(),
		named: newNamedTexts(),
		tables: `SELECT table_name FROM information_schema.tables
			WHERE table_schema = current_schema() AND table_type = 'BASE TABLE' ORDER BY table_name`,
	}
}

func (d dialect) forUpdate(tables string) string {
	if d.lock == "" {
		return ""
	}
	return fmt.Sprintf(d.lock, tables)
}

func (d dialect) forShare(tables string) string {
	if d.share == "" {
		return ""
	}
	return fmt.Sprintf(d.share, tables)
}

func (d dialect) skipLocked(tables string) string {
	if d.skip == "" {
		return ""
	}
	return fmt.Sprintf(d.skip, tables)
}

// from is rows with its columns in one string: "path text, id bigint".
func (d dialect) from(alias, cols string) string {
	return d.rows(alias, strings.Split(cols, ", "))
}

// list makes a column of the JSON array in a parameter.
func (d dialect) list(param, kind string) string {
	if d.name == sqliteName {
		return "SELECT value FROM json_each(" + param + ")"
	}
	return fmt.Sprintf("SELECT v::%s FROM json_array_elements_text(%s::json) v", kind, param)
}

// among says that a column is one of the JSON array in a parameter. PostgreSQL
// would take a list from a function for a hundred rows, and look for them in all
// there are; in an array it looks up each.
func (d dialect) among(column, param, kind string) string {
	if d.name == sqliteName {
		return column + " IN (" + d.list(param, kind) + ")"
	}
	return column + " = ANY (ARRAY(" + d.list(param, kind) + "))"
}

func sqliteRows(alias string, cols []string) string {
	var b strings.Builder
	b.WriteString("(SELECT ")
	for i, c := range cols {
		name, _, _ := strings.Cut(c, " ")
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "value ->> '$.%s' AS %s", name, name)
	}
	fmt.Fprintf(&b, " FROM json_each($1)) AS %s", alias)
	return b.String()
}

func postgresRows(alias string, cols []string) string {
	return fmt.Sprintf("json_to_recordset($1::json) AS %s(%s)", alias, strings.Join(cols, ", "))
}

// retryable reports whether a whole transaction that failed with err may be
// tried again, because another one was in its way.
func retryable(err error) bool {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code == "40001" || pg.Code == "40P01" || pg.Code == "55P03"
	}
	return false
}

// classify gives an error of the database a kind and says what was being done.
func classify(doing string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*core.Error](err); ok {
		return err
	}
	if lost, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return unreachable(lost)
	}
	kind := core.KindUnavailable
	hint := ""
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		kind, hint = faultOf(pg.Code)
	} else if wentAway(err) {
		return &core.Error{
			Kind: kind, Fact: fmt.Sprintf("state database: PostgreSQL went away while %s: %v", doing, err), Err: err,
			Hint: "it is tried again until the server is back; its own log says why it ended",
		}
	}
	if lite, ok := errors.AsType[*sqlite.Error](err); ok {
		switch lite.Code() & 0xff {
		case sqlite3.SQLITE_FULL:
			hint = "free some space on the file system of the state database"
		case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
			hint = "another program has locked the file of the state database, such as a shell or a backup with a transaction of its own: end it"
		case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
			hint = "check the owner and the mode of the state database and of its directory"
		case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
			kind, hint = core.KindInternal, "restore the state database from a backup, or move it away: the mirrors stay, and the queue is made anew from CONFGIT"
		case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_MISMATCH:
			kind, hint = core.KindInternal, tampered
		}
	}
	return &core.Error{Kind: kind, Fact: fmt.Sprintf("state database: %s: %v", doing, err), Hint: hint, Err: err}
}

func notFound(format string, args ...any) error {
	return core.Errorf(core.KindNotFound, format, args...)
}

// micros is t as the database has it: microseconds since 1970, 0 for the zero
// time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// duration is a column of microseconds as a duration.
func duration(v int64) time.Duration { return time.Duration(v) * time.Microsecond }

// fromMicros is the reverse of micros, in UTC.
func fromMicros(v int64) time.Time {
	if v == 0 {
		return time.Time{}
	}
	return time.UnixMicro(v).UTC()
}
