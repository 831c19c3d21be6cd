package daemon

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/term"

	"github.com/lorry-controller/lorry-controller/core/settings"
)

// webappName is the original's name of the program. Under it there are no
// commands.
const webappName = "lorry-controller-webapp"

// Main is lorry-controller: it runs the command that args, which begin with the
// name of the program, ask for and gives the exit code. Interrupt and terminate stop the daemon in order; a second one
// ends it at once.
func Main(args []string, version string, stdout, stderr *os.File) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // from now on the system's own handling counts
	var err error
	if len(args) > 0 && filepath.Base(args[0]) == webappName {
		err = serve(ctx, args[1:], false, version, stdout, stderr)
	} else {
		err = dispatch(ctx, args[min(1, len(args)):], version, stdout, stderr)
	}
	return settings.Tell(stderr, err)
}

func dispatch(ctx context.Context, args []string, version string, stdout, stderr *os.File) error {
	command := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		command, args = args[0], args[1:]
	}
	switch command {
	case "", "run":
		return serve(ctx, args, command == "run", version, stdout, stderr)
	case "migrate":
		return migrate(ctx, args, version, stdout)
	case "import-statedb":
		return importCommand(ctx, args, version, stdout)
	case "adapter":
		return adapterCommand(ctx, args, version, stdout)
	case "token":
		return tokenCommand(ctx, args, version, stdout)
	case "audit":
		return auditCommand(ctx, args, version, stdout)
	case "notify":
		return notifyCommand(ctx, args, version, stdout)
	case "config":
		return configCommand(ctx, args, version, stdout, stderr)
	default:
		return usageError(fmt.Sprintf("no such command: %q (there are run, migrate, import-statedb, token, audit, notify, config and adapter)", command))
	}
}

// serve reads the settings and runs the daemon until ctx ends.
func serve(ctx context.Context, args []string, embedded bool, version string, stdout, stderr *os.File) error {
	values, err := settings.ControllerTable(version).Parse(args, os.Environ())
	if err != nil {
		return err
	}
	if done, err := values.Inform(stdout); done || err != nil {
		return err
	}
	if len(values.Args) > 0 {
		return usageError(fmt.Sprintf("what is %q? Only options can be here; a command stands before them", values.Args[0]))
	}
	config, err := settings.NewController(values, embedded)
	if err != nil {
		return err
	}
	programs, err := ownDirectory()
	if err != nil {
		return err
	}
	reread := func() (*settings.Values, settings.Controller, error) {
		values, err := settings.ControllerTable(version).Parse(args, os.Environ())
		if err != nil {
			return nil, settings.Controller{}, err
		}
		config, err := settings.NewController(values, embedded)
		return values, config, err
	}
	d, err := New(ctx, Options{
		Values: values, Reread: reread,
		Settings: config, Secrets: values.Secrets(), Warnings: values.Warnings, Programs: programs,
		Version: version, Stdout: stdout, Stderr: stderr,
		Terminal: embedded && term.IsTerminal(int(stdout.Fd())),
	})
	if err != nil {
		return err
	}
	return d.Run(ctx)
}

// ownDirectory is where the other programs are.
func ownDirectory() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("finding this program: %w", err)
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return "", fmt.Errorf("finding this program: %w", err)
	}
	return filepath.Dir(self), nil
}
