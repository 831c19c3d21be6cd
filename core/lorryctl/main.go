package lorryctl

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/lorry-controller/lorry-controller/core"
)

// Exit codes of lorryctl.
const (
	exitOK          = 0
	exitError       = 1 // the controller refused, or could not do it
	exitUsage       = 2 // a mistake on the command line or in a LORRY_* variable
	exitUnreachable = 3 // no answer from a controller
)

// app is one run of the program.
type app struct {
	env     environment
	version string
	stdout  io.Writer
	stderr  io.Writer
	// terminal says that a person looks at stdout; colours that they are wanted.
	terminal bool
	colours  bool
	clock    core.Clock

	addr      string
	tokenFile string
	caFile    string
	format    string
	timeout   time.Duration
	asked     string // the command, with those that it is below
}

// done is an error of a command that was understood, as opposed to a mistake in
// usage.
type done struct{ error }

func (d done) Unwrap() error { return d.error }

// Main runs the command that args (without the program's name) ask for, and
// gives the exit code. env has the form of os.Environ.
func Main(args, env []string, version string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	a := &app{version: version, stdout: stdout, stderr: stderr, clock: time.Now}
	var err error
	if a.env, err = readEnvironment(env); err == nil {
		a.terminal = isTerminal(stdout)
		a.colours = a.terminal && a.env.colours
		err = a.run(ctx, args)
	}
	return a.tell(err)
}

// run carries out one command line.
func (a *app) run(ctx context.Context, args []string) error {
	root := a.root() //nolint:contextcheck // cobra gives each command the context of this run
	root.SetArgs(args)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	command, err := root.ExecuteContextC(ctx)
	a.asked = command.CommandPath()
	return err
}

// do makes a cobra function of a command's own: what it gets wrong is no
// mistake in usage, and it may take as long as --timeout says.
func (a *app) do(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		if err := a.checkFormat(); err != nil {
			return err
		}
		ctx := c.Context()
		if a.timeout > 0 {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, a.timeout)
			defer cancel()
		}
		err := f(ctx, args)
		var usage *usageError
		if err == nil || errors.As(err, &usage) {
			return err
		}
		return done{err}
	}
}

// usageError is a mistake that the argument parser does not see.
type usageError struct{ problem string }

func (e *usageError) Error() string { return e.problem }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// tell prints an error with a next step, and gives the exit code.
func (a *app) tell(err error) int {
	if err == nil {
		return exitOK
	}
	if errors.Is(err, context.Canceled) { // by a signal, nothing else does it
		fmt.Fprintln(a.stderr, "interrupted")
		return exitError
	}
	fmt.Fprintf(a.stderr, "ERROR: %s\n", cell(err.Error()))
	var finished done
	if !errors.As(err, &finished) {
		fmt.Fprintf(a.stderr, "  %s --help says what can be given\n", cmp.Or(a.asked, "lorryctl"))
		return exitUsage
	}
	kind, hint := core.KindInternal, ""
	var known *core.Error
	if errors.As(err, &known) {
		kind, hint = known.Kind, known.Hint
	}
	if hint == "" || strings.Contains(hint, "/1.0/") || strings.Contains(hint, "Authorization:") { // advice for those who use the API by hand
		hint = cmp.Or(nextStep(kind), hint)
	}
	if hint != "" {
		fmt.Fprintf(a.stderr, "  %s\n", cell(hint))
	}
	if kind == core.KindUnavailable {
		return exitUnreachable
	}
	return exitError
}

// nextStep says what to do about an error that came without advice.
func nextStep(kind core.Kind) string {
	switch kind {
	case core.KindUnauthenticated:
		return "set LORRY_TOKEN_FILE to a file that holds a token of this controller"
	case core.KindDenied, core.KindReadOnly:
		return "ask for a token that may do this"
	case core.KindNotFound:
		return "lorryctl queue names the Lorries, lorryctl jobs list the jobs, lorryctl hosts list the hosts"
	case core.KindConflict:
		return "look at its state first: lorryctl lorries show PATH, lorryctl jobs show ID"
	case core.KindInternal:
		return "the controller's log says more"
	}
	return ""
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
