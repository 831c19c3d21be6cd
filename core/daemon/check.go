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

// tellProblems prints the problems of a CONFGIT; the error says that some are
// errors.
func tellProblems(config *confgit.Config, problems []core.Problem, stdout io.Writer) error {
	failed := false
	for _, p := range problems {
		failed = failed || p.Severity == core.SeverityError
		fmt.Fprintf(stdout, "%s: %s\n", p.Severity, confgit.Describe(p))
	}
	fmt.Fprintf(stdout, "%d Lorries, %d Upstream Hosts, %d problems\n", len(config.Lorries), len(config.Hosts), len(problems))
	if failed {
		return errors.New("CONFGIT has errors")
	}
	return nil
}
