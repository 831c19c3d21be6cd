package daemon

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/lorry-controller/lorry-controller/core/audit"
	"github.com/lorry-controller/lorry-controller/core/settings"
	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/core/token"
	"github.com/lorry-controller/lorry-controller/core/webapp/access"
)

// offlineTable is the daemon's table with the options of one offline command.
func offlineTable(version string, more ...settings.Option) settings.Table {
	table := settings.ControllerTable(version)
	table.Options = append(more, table.Options...)
	return table
}

// openOffline opens the STATEDB that the daemon with the same settings has,
// also while the daemon runs.
func openOffline(ctx context.Context, values *settings.Values) (*statedb.DB, error) {
	config, err := settings.NewController(values, values.IsSet("data"))
	if err != nil {
		return nil, err
	}
	url := config.StateDB.Reveal()
	if !statedb.IsPostgres(url) {
		if _, err := os.Stat(config.Data); errors.Is(err, fs.ErrNotExist) {
			if err := os.MkdirAll(config.Data, 0o700); err != nil {
				return nil, badPlace(config.Data, err)
			}
		}
	}
	return openStateDB(ctx, config, statedb.Options{Clock: time.Now})
}

// operator is who runs an offline command.
func operator() string {
	name := fmt.Sprintf("uid %d", os.Getuid())
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	return name + "@" + hostName()
}

// tokenCommand is "lorry-controller token create|list|revoke": tokens without
// the API, for the first one above all. Whoever can write to the STATEDB can do
// all that a token allows.
func tokenCommand(ctx context.Context, args []string, version string, stdout io.Writer) (err error) {
	what := ""
	if len(args) > 0 {
		what, args = args[0], args[1:]
	}
	if what != "create" && what != "list" && what != "revoke" {
		return usageError("token needs one of create, list and revoke")
	}
	values, err := offlineTable(version,
		settings.Option{Name: "role", Metavar: "ROLE", Doc: "For token create: what its holder may do: " + token.RoleNames() + "."},
		settings.Option{Name: "name", Metavar: "NAME", Doc: "For token create: what it is called."},
		settings.Option{Name: "expires", Metavar: "TIME", Doc: "For token create: how long it counts, such as 90d. Default: for ever."},
	).Parse(args, os.Environ())
	if err != nil {
		return err
	}
	if done, err := values.Inform(stdout); done || err != nil {
		return err
	}
	if want := map[string]int{"revoke": 1}[what]; len(values.Args) != want {
		return usageError(fmt.Sprintf("token %s takes %d arguments, not %d", what, want, len(values.Args)))
	}
	db, err := openOffline(ctx, values)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	switch what {
	case "create":
		return createToken(ctx, db, values, stdout)
	case "revoke":
		return revokeToken(ctx, db, values.Args[0], stdout)
	}
	return listTokens(ctx, db, stdout)
}

func createToken(ctx context.Context, db *statedb.DB, values *settings.Values, stdout io.Writer) error {
	if values.String("role") == "" {
		return usageError("token create needs --role with one of " + token.RoleNames())
	}
	role, err := token.ParseRole(values.String("role"))
	if err != nil {
		return err
	}
	now := time.Now()
	expires, err := token.ParseExpiry(values.String("expires"), now)
	if err != nil {
		return err
	}
	made, text, err := token.Make(rand.Reader, values.String("name"), role, now, expires)
	if err != nil {
		return err
	}
	if err := db.AddToken(ctx, made); err != nil {
		return err
	}
	if err := offlineEntry(ctx, db, "token create", "", access.Describe(made)); err != nil {
		return errors.Join(err, db.RevokeToken(ctx, made.ID, now))
	}
	// The token alone on standard output, so that a script can keep it.
	_, err = fmt.Fprintln(stdout, text.Reveal())
	return err
}

func revokeToken(ctx context.Context, db *statedb.DB, name string, stdout io.Writer) error {
	all, err := db.Tokens(ctx)
	if err != nil {
		return err
	}
	t, err := token.Find(all, name)
	if err != nil {
		return err
	}
	if err := db.RevokeToken(ctx, t.ID, time.Now()); err != nil {
		return err
	}
	if err := offlineEntry(ctx, db, "token revoke", access.Describe(t), "revoked"); err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "token %s is revoked\n", t.Label())
	return err
}

// offlineEntry leaves a row about something that was done without the API.
func offlineEntry(ctx context.Context, db *statedb.DB, action, was, became string) error {
	_, err := db.AppendAudit(ctx, audit.Entry{
		At: time.Now(), Who: operator(), From: "offline", Action: action, Was: was, Became: became, Result: "ok",
	})
	return err
}

func listTokens(ctx context.Context, db *statedb.DB, stdout io.Writer) error {
	all, err := db.Tokens(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tNAME\tROLE\tSTATE\tCREATED\tEXPIRES\tLAST USED")
	now := time.Now()
	for _, t := range all {
		cells := []string{t.ID, t.Name, string(t.Role), t.State(now), day(t.Created), day(t.Expires), day(t.Used)}
		fmt.Fprintln(table, strings.Join(cells, "\t"))
	}
	return table.Flush()
}

func day(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.DateTime)
}

// auditCommand is "lorry-controller audit verify [MARK...]".
func auditCommand(ctx context.Context, args []string, version string, stdout io.Writer) (err error) {
	if len(args) == 0 || args[0] != "verify" {
		return usageError("audit needs verify behind it, and then perhaps NUMBER:HASH of an earlier time")
	}
	values, err := settings.ControllerTable(version).Parse(args[1:], os.Environ())
	if err != nil {
		return err
	}
	if done, err := values.Inform(stdout); done || err != nil {
		return err
	}
	var known []audit.Mark
	for _, text := range values.Args {
		mark, err := audit.ParseMark(text)
		if err != nil {
			return err
		}
		known = append(known, mark)
	}
	db, err := openOffline(ctx, values)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	ends, err := db.AuditEnds(ctx)
	if err != nil {
		return err
	}
	check, err := audit.Verify(ends, known, func(after int64, limit int) ([]audit.Entry, error) {
		return db.AuditAfter(ctx, after, limit)
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "the audit is whole: rows %d to %d\n%s\n", ends.Removed.Seq+1, check.At().Seq, check.At())
	return err
}
