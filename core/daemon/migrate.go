package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/settings"
	"github.com/lorry-controller/lorry-controller/core/statedb"
)

// migrate is "lorry-controller migrate status|up|print": what the schema of
// STATEDB is, bring it up to date, or print the SQL of the steps that wait.
func migrate(ctx context.Context, args []string, version string, stdout io.Writer) (err error) {
	what := ""
	if len(args) > 0 {
		what, args = args[0], args[1:]
	}
	if what != "status" && what != "up" && what != "print" {
		return usageError("migrate needs one of status, up and print")
	}
	config, _, done, err := readSettings(args, version, stdout)
	if done || err != nil {
		return err
	}
	// Looking at an SQLite STATEDB must not make one.
	if url := config.StateDB.Reveal(); what != "up" && !statedb.IsPostgres(url) {
		if _, err := os.Stat(url); err != nil {
			return &core.Error{
				Kind: core.KindNotFound, Err: err, Fact: fmt.Sprintf("there is no state database: %v", err),
				Hint: "name its place with --data DIR or --statedb, as the daemon has it",
			}
		}
	}
	db, err := statedb.Connect(ctx, statedb.Options{URL: config.StateDB.Reveal(), Clock: time.Now})
	if err != nil {
		return stateDBError(config, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if what == "up" {
		made, err := db.Migrate(ctx)
		for _, m := range made {
			fmt.Fprintf(stdout, "applied %d %s\n", m.Version, m.Name)
		}
		if err == nil && len(made) == 0 {
			fmt.Fprintln(stdout, "the schema is up to date")
		}
		return stateDBError(config, err)
	}
	steps, err := db.MigrationStatus(ctx)
	if err != nil {
		return stateDBError(config, err)
	}
	if what == "status" {
		return printSteps(stdout, steps)
	}
	for _, m := range steps {
		if m.Applied.IsZero() {
			fmt.Fprintf(stdout, "-- %d %s\n%s\n", m.Version, m.Name, m.SQL)
		}
	}
	return nil
}

func printSteps(stdout io.Writer, steps []statedb.Migration) error {
	table := tabwriter.NewWriter(stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "STEP\tNAME\tAPPLIED")
	for _, m := range steps {
		applied := "waits"
		if !m.Applied.IsZero() {
			applied = m.Applied.UTC().Format(time.DateTime)
		}
		fmt.Fprintf(table, "%d\t%s\t%s\n", m.Version, m.Name, applied)
	}
	return table.Flush()
}

// readSettings reads the settings for a command that serves nothing. --data
// and the rest mean the same as for the daemon.
func readSettings(args []string, version string, stdout io.Writer) (config settings.Controller, rest []string, done bool, err error) {
	values, err := settings.ControllerTable(version).Parse(args, os.Environ())
	if err != nil {
		return config, nil, false, err
	}
	if done, err := values.Inform(stdout); done || err != nil {
		return config, nil, done, err
	}
	config, err = settings.NewController(values, values.IsSet("data"))
	return config, values.Args, false, err
}

func usageError(problem string) error {
	return &settings.UsageError{Program: "lorry-controller", Problem: problem}
}
