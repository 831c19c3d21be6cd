package statedb

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lorry-controller/lorry-controller/core"
)

// unreachable tells why no connection to PostgreSQL can be made, in one line
// with what can be done about it. The driver's own text has a line for each way
// that it tried, and the user's name, which a readiness probe must not show.
func unreachable(err *pgconn.ConnectError) error {
	fact, hint := whyUnreachable(err)
	return &core.Error{Kind: core.KindUnavailable, Fact: "state database: PostgreSQL " + fact, Hint: hint, Err: err}
}

func whyUnreachable(err *pgconn.ConnectError) (fact, hint string) {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		// https://www.postgresql.org/docs/current/errcodes-appendix.html
		switch pg.Code {
		case "28P01":
			return "does not accept the user's password", "correct the user in the setting statedb, or the password there or in statedb-password"
		case "28000":
			return "does not let the user in: " + pg.Message, "correct the user in the setting statedb, make it with createuser, or allow it in pg_hba.conf"
		case "3D000":
			return "has no such database: " + pg.Message, "correct the name in the setting statedb, or make it with createdb"
		case "42501":
			return "does not let the user use the database: " + pg.Message, "GRANT CONNECT ON DATABASE to the user of the setting statedb"
		case "53300":
			return "has no connection left: " + pg.Message, "raise its max_connections, or lower pool_max_conns in the setting statedb; each core uses at most 16"
		case "57P01", "57P02", "57P03":
			return "is not ready: " + pg.Message, "it is tried again until it is"
		}
		return "refuses a connection: " + pg.Message + " (SQLSTATE " + pg.Code + ")", "see to the server, or correct the setting statedb"
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return fmt.Sprintf("can't be reached: the name of its host can't be resolved: %s", dns.Err), "correct the host in the setting statedb, or see to the DNS"
	}
	if cert, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fmt.Sprintf("can't be trusted: %v", cert.Err), "name its authority with sslrootcert in the setting statedb"
	}
	const look = "see that the server runs and can be reached from here, or correct host and port in the setting statedb"
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || pgconn.Timeout(err) {
		return "can't be reached: no answer in time", look
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return fmt.Sprintf("can't be reached: %v", op.Err), look
	}
	if strings.HasSuffix(err.Error(), "server refused TLS connection") {
		return "offers no TLS", "turn its ssl on, or choose another sslmode in the setting statedb"
	}
	lines := strings.Split(err.Error(), "\n")
	_, last, _ := strings.Cut(lines[len(lines)-1], "): ") // behind the address
	if last == "" {
		last = lines[len(lines)-1]
	}
	return "can't be reached: " + strings.TrimSpace(last), look
}

// tampered is what to do about tables that are not as the migrations made them.
const tampered = "if its tables were changed by another program, restore the state database from a backup, or move it away: the mirrors stay, and the queue is made anew from CONFGIT"

// faultOf gives the kind of a fault that PostgreSQL tells by its SQLSTATE, and what
// can be done about it.
func faultOf(code string) (core.Kind, string) {
	switch code {
	case "53100", "58030":
		return core.KindUnavailable, "free some space on the file systems of the PostgreSQL server, its log of changes included"
	case "25006":
		return core.KindUnavailable, "the server only lets read: name the one that takes changes in the setting statedb"
	case "42501":
		return core.KindInternal, "GRANT the user of the setting statedb all rights on its tables"
	}
	switch {
	case strings.HasPrefix(code, "22"), strings.HasPrefix(code, "23"):
		return core.KindInternal, ""
	case strings.HasPrefix(code, "42"):
		return core.KindInternal, tampered
	}
	return core.KindUnavailable, ""
}

// wentAway reports whether a connection to PostgreSQL broke in the middle.
func wentAway(err error) bool {
	_, broke := errors.AsType[*net.OpError](err)
	return (broke || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, driver.ErrBadConn)) && !pgconn.Timeout(err)
}
