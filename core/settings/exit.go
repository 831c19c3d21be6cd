package settings

import (
	"errors"
	"fmt"
	"io"

	"github.com/lorry-controller/lorry-controller/core"
)

// Exit codes of the programs that work until they are told to end.
const (
	ExitOK    = 0
	ExitError = 1 // told on standard error
	ExitUsage = 2 // a mistake on the command line
)

// Tell prints an error for a person, with what can be done about it, and gives
// the exit code. Without an error it prints nothing.
func Tell(stderr io.Writer, err error) int {
	if err == nil {
		return ExitOK
	}
	fmt.Fprintf(stderr, "ERROR: %v\n", err)
	var known *core.Error
	if errors.As(err, &known) && known.Hint != "" {
		fmt.Fprintf(stderr, "  %s\n", known.Hint)
	}
	var usage *UsageError
	if errors.As(err, &usage) {
		return ExitUsage
	}
	return ExitError
}
