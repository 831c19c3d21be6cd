package statedb_test

import (
	"database/sql"
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/integration/pgtest"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/tool"
)

// What stands between the core and the server may send errors without a code.
func TestTheCodeOfAFaultGivesItsKind(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]core.Kind{
		"": core.KindUnavailable, "4": core.KindUnavailable, "57P01": core.KindUnavailable, "53100": core.KindUnavailable,
		"22001": core.KindInternal, "23505": core.KindInternal, "42P01": core.KindInternal, "42501": core.KindInternal,
	} {
		err := statedb.Classify("reading", &pgconn.PgError{Code: code, Message: "no"})
		var known *core.Error
		if !errors.As(err, &known) || known.Kind != want {
			t.Errorf("%q: want the kind %q, got %+v", code, want, err)
		}
	}
}

// TestAPostgresThatLetsNobodyInSaysWhy opens the STATEDB with each mistake that
// an operator makes in its URL.
func TestAPostgresThatLetsNobodyInSaysWhy(t *testing.T) {
	t.Parallel()
	right, err := url.Parse(servers.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	if right.Query().Get("host") == "" {
		tool.Missing(t, "the PostgreSQL is not ours: what it asks for is not known", "all")
	}
	db, err := sql.Open("pgx", right.String())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), `CREATE ROLE `+pgtest.PasswordRole+` LOGIN PASSWORD 'right'`); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		db, err := sql.Open("pgx", right.String())
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec(`DROP ROLE ` + pgtest.PasswordRole); err != nil {
			t.Error(err)
		}
	})
	for name, tc := range map[string]struct {
		change     func(u *url.URL)
		fact, hint string
	}{
		"a wrong password": {func(u *url.URL) { u.User = url.UserPassword(pgtest.PasswordRole, "s3cret") }, "does not accept the user's password", "statedb-password"},
		"no such user":     {func(u *url.URL) { u.User = url.UserPassword("nobody-at-all", "s3cret") }, `role "nobody-at-all" does not exist`, "createuser"},
		"no such database": {func(u *url.URL) { u.Path = "/not_there" }, `database "not_there" does not exist`, "createdb"},
		"nobody listens": {func(u *url.URL) {
			u.Host, u.RawQuery = "127.0.0.1:1", ""
		}, "connection refused", "correct host and port"},
		"no such host": {func(u *url.URL) {
			u.Host, u.RawQuery = "no-such-host.invalid", ""
		}, "can't be resolved", "correct the host"},
		"no TLS there": {func(u *url.URL) {
			u.Host, u.RawQuery = "127.0.0.1:"+u.Query().Get("port"), "sslmode=require"
		}, "offers no TLS", "sslmode"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := *right
			tc.change(&u)
			_, err := statedb.Open(t.Context(), statedb.Options{URL: u.String()})
			var known *core.Error
			if !errors.As(err, &known) {
				t.Fatalf("want an error that is known, got %v", err)
			}
			text := err.Error()
			if known.Kind != core.KindUnavailable || !strings.Contains(text, tc.fact) || !strings.Contains(known.Hint, tc.hint) {
				t.Errorf("want %q and %q, got %q and %q", tc.fact, tc.hint, text, known.Hint)
			}
			if strings.Contains(text, "s3cret") || strings.Contains(text, "\n") {
				t.Errorf("want one line without the password, got %q", text)
			}
		})
	}
}
