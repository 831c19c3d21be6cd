package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/adapter"
	"github.com/lorry-controller/lorry-controller/core/confgit"
	"github.com/lorry-controller/lorry-controller/core/settings"
)

// adapterCommand is "lorry-controller adapter check PATH --settings FILE": the
// conformance suite for an author who has no Go.
func adapterCommand(ctx context.Context, args []string, version string, stdout io.Writer) error {
	if len(args) == 0 || args[0] != "check" {
		return usageError("adapter needs the word check, then the path of an adapter")
	}
	values, err := settings.Table{
		Program: "lorry-controller adapter check", ConfigName: "lorry-controller-adapter-check", Version: version, Usage: "PATH",
		Summary:  "Tries an adapter, in whatever language it was written, against what the core expects of one.",
		Options:  []settings.Option{{Name: "settings", Metavar: "FILE", Doc: "The JSON file that describes the hosts to try it on; docs/adapters/authoring.md has its form."}},
		KnownEnv: []string{"LORRY_*"},
	}.Parse(args[1:], os.Environ())
	if err != nil {
		return err
	}
	if done, err := values.Inform(stdout); done || err != nil {
		return err
	}
	if len(values.Args) != 1 || values.String("settings") == "" {
		return usageError("adapter check needs the path of an adapter and --settings FILE")
	}
	path, err := filepath.Abs(values.Args[0])
	if err != nil {
		return err
	}
	file, err := os.ReadFile(values.String("settings"))
	if err != nil {
		return fmt.Errorf("the settings can't be read: %w", err)
	}
	return adapter.TryProgram(ctx, path, file, func(name string, err error) {
		if err != nil {
			fmt.Fprintf(stdout, "FAIL %s: %v\n", name, err)
			return
		}
		fmt.Fprintf(stdout, "ok   %s\n", name)
	})
}

// configCommand is "lorry-controller config check DIR": what is wrong in a
// checkout of CONFGIT, before it is pushed.
func configCommand(ctx context.Context, args []string, stdout io.Writer) error {
	if len(args) != 2 || args[0] != "check" {
		return usageError("config needs the word check, then the directory of a checkout of CONFGIT")
	}
	if _, err := os.Stat(filepath.Join(args[1], confgit.ConfFile)); err != nil {
		return fmt.Errorf("%q is no CONFGIT: %w", args[1], err)
	}
	source := confgit.NewSource(confgit.Options{Directory: args[1]})
	commit, err := source.Update(ctx)
	if err != nil {
		return err
	}
	config, err := source.Read(ctx, commit)
	if err != nil {
		return err
	}
	failed := false
	for _, p := range config.Problems {
		failed = failed || p.Severity == core.SeverityError
		fmt.Fprintf(stdout, "%s: %s\n", p.Severity, confgit.Describe(p))
	}
	fmt.Fprintf(stdout, "%d Lorries, %d Upstream Hosts, %d problems\n", len(config.Lorries), len(config.Hosts), len(config.Problems))
	if failed {
		return errors.New("CONFGIT has errors")
	}
	return nil
}
