package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/settings"
	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/core/statedb/importv1"
)

// originalSuffix is put behind the name of a STATEDB of the original when ours
// takes its place.
const originalSuffix = ".v1"

// takeOver deals with a configuration of the original that still names its
// STATEDB: the old file is kept under another name and its content imported
// into a new one. Whatever goes wrong, the old file is where it was.
func takeOver(ctx context.Context, path string, log hclog.Logger) (err error) {
	original, err := importv1.Recognise(ctx, path)
	if err != nil || !original {
		return err
	}
	kept := path + originalSuffix
	if _, err := os.Lstat(kept); !errors.Is(err, fs.ErrNotExist) {
		return &core.Error{
			Kind: core.KindConflict, Fact: fmt.Sprintf("%q is a state database of the original, and %q is there already", path, kept),
			Hint: "move one of them away",
		}
	}
	// A new one is filled beside the old one, so that a crash loses nothing.
	filled := path + ".new"
	if err := errors.Join(remove(filled), remove(filled+"-wal"), remove(filled+"-shm")); err != nil {
		return err
	}
	report, err := importInto(ctx, path, settings.Controller{StateDB: core.NewSecret(filled)})
	if err != nil {
		return fmt.Errorf("taking over the state database of the original: %w", err)
	}
	for _, journal := range []string{"", "-journal"} {
		if err := os.Rename(path+journal, kept+journal); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("keeping the state database of the original: %w", err)
		}
	}
	if err := os.Rename(filled, path); err != nil {
		return errors.Join(fmt.Errorf("putting the new state database in place: %w", err), os.Rename(kept, path))
	}
	log.Info("took the state database of the original over", "kept", kept, "lorries", report.Lorries, "hosts", report.Hosts, "jobs", report.Jobs)
	for _, note := range report.Notes {
		log.Warn("state database of the original", "note", note)
	}
	return nil
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// importInto imports the original's file into a STATEDB that is closed again.
func importInto(ctx context.Context, old string, c settings.Controller) (report importv1.Report, err error) {
	db, err := openStateDB(ctx, c, statedb.Options{Clock: time.Now})
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return importv1.Import(ctx, old, db)
}

// importCommand is "lorry-controller import-statedb OLD.db".
func importCommand(ctx context.Context, args []string, version string, stdout io.Writer) error {
	config, rest, done, err := readSettings(args, version, stdout)
	if done || err != nil {
		return err
	}
	if len(rest) != 1 {
		return usageError("import-statedb needs the file name of one state database of the original")
	}
	p, err := openPlace(config.Data)
	if err != nil {
		return err
	}
	defer p.close()
	if url := config.StateDB.Reveal(); !statedb.IsPostgres(url) {
		release, err := lockStateDB(url)
		if err != nil {
			return stateDBError(config, err)
		}
		defer release()
	}
	report, err := importInto(ctx, rest[0], config)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "imported: %d Lorries, %d Upstream Hosts, %d jobs\n", report.Lorries, report.Hosts, report.Jobs)
	if report.Interrupted > 0 {
		fmt.Fprintf(stdout, "jobs that had not ended, now ended as lost: %d\n", report.Interrupted)
	}
	if report.Passwords > 0 {
		fmt.Fprintf(stdout, "texts from which a password was left out; CONFGIT still has it: %d\n", report.Passwords)
	}
	for _, note := range report.Notes {
		fmt.Fprintln(stdout, "note:", note)
	}
	return nil
}
