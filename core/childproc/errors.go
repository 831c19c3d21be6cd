package childproc

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// ErrNotInstalled is found by errors.Is in the error of a program that is not
// on this machine. The error itself is a *NotInstalledError.
var ErrNotInstalled = errors.New("program is not installed")

// NotInstalledError names a program that was not found.
type NotInstalledError struct {
	Program string // as it was looked for, such as "git"
	Package string // Debian's package that has it, or "" when not known
}

// Error implements error.
func (e *NotInstalledError) Error() string {
	if e.Package == "" {
		return fmt.Sprintf("the program %q is not installed", e.Program)
	}
	return fmt.Sprintf("the program %q is not installed (on Debian: apt install %s)", e.Program, e.Package)
}

// Is makes errors.Is(err, ErrNotInstalled) true.
func (e *NotInstalledError) Is(target error) bool { return target == ErrNotInstalled }

// packages tells which Debian package holds a program.
func packageOf(program string) string {
	switch program {
	case "git":
		return "git"
	case "ssh":
		return "openssh-client"
	case "svn":
		return "subversion"
	case "hg":
		return "mercurial"
	case "cvs":
		return "cvs"
	case "cvsps":
		return "cvsps"
	case "git svn":
		return "git-svn"
	case "git cvsimport":
		return "git-cvs"
	case "brz", "bzr":
		return "brz"
	case "git-lfs":
		return "git-lfs"
	case "xz":
		return "xz-utils"
	case "zstd":
		return "zstd"
	case "lzip":
		return "lzip"
	case "gzip":
		return "gzip"
	}
	return ""
}

// ExitError says how a program ended that did not succeed.
type ExitError struct {
	Program string
	Code    int            // exit status; -1 when a signal ended it
	Signal  syscall.Signal // the signal that ended it, or 0
	Stderr  string         // the last lines of its standard error, without credentials
	// Err is why it was stopped (the context's cause), or nil when it ended by
	// itself.
	Err error
}

// Error implements error. It gives the program, how it ended, and the last
// line that it wrote.
func (e *ExitError) Error() string {
	var b strings.Builder
	b.WriteString(e.Program)
	switch {
	case e.Err != nil:
		fmt.Fprintf(&b, " was stopped: %v", e.Err)
	case e.Signal != 0:
		fmt.Fprintf(&b, " was ended by signal %d (%v)", int(e.Signal), e.Signal)
	default:
		fmt.Fprintf(&b, " ended with exit status %d", e.Code)
	}
	if line := lastLine(e.Stderr); line != "" {
		b.WriteString(": ")
		b.WriteString(line)
	}
	return b.String()
}

// Unwrap gives why the program was stopped, such as context.DeadlineExceeded.
func (e *ExitError) Unwrap() error { return e.Err }

func lastLine(text string) string {
	text = strings.TrimRight(text, "\r\n\t ")
	if i := strings.LastIndexAny(text, "\r\n"); i >= 0 {
		text = text[i+1:]
	}
	return text
}
