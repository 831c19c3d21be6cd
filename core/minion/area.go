package minion

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/lorry-controller/lorry-controller/core"
)

// area is a working area that this process has for itself.
type area struct {
	dir   string
	specs string // private directory for specifications
	lock  *os.File
}

// privateName is the minion's own directory in the working area. Lorry's names
// never begin with a dot.
const privateName = ".lorry-minion"

// openArea makes and locks a working area, and removes what a minion that was
// killed left there.
func openArea(dir string) (*area, error) {
	if dir == "" {
		return nil, core.Errorf(core.KindInvalid, "no working area is set; use lorry-working-area")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("working area can't be found: %w", err)
	}
	private := filepath.Join(dir, privateName)
	a := &area{dir: dir, specs: filepath.Join(private, "specs")}
	if err := os.MkdirAll(private, 0o700); err != nil {
		return nil, unusable(dir, err)
	}
	if a.lock, err = os.OpenFile(filepath.Join(private, "lock"), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, unusable(dir, err)
	}
	if err := unix.Flock(int(a.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer a.lock.Close()
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, unusable(dir, err)
		}
		return nil, inUse(dir, a.lock)
	}
	// Only the owner of the lock gets here: what lies there is nobody's.
	if err := errors.Join(os.RemoveAll(a.specs), os.Mkdir(a.specs, 0o700), a.sign()); err != nil {
		a.close()
		return nil, unusable(dir, err)
	}
	return a, nil
}

// privateDir names a directory of the minion's own in the working area.
func (a *area) privateDir(name string) string { return filepath.Join(a.dir, privateName, name) }

// sign writes this process's id into the lock file, for the error message of
// whoever comes second.
func (a *area) sign() error {
	if err := a.lock.Truncate(0); err != nil {
		return err
	}
	_, err := a.lock.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

func unusable(dir string, err error) error {
	return &core.Error{
		Kind: core.KindUnavailable, Err: err, Fact: fmt.Sprintf("working area %q can't be used: %v", dir, err),
		Hint: "give the minion's user the right to write there, or choose another directory with --lorry-working-area",
	}
}

func inUse(dir string, lock *os.File) error {
	owner := ""
	text := make([]byte, 20)
	if n, _ := lock.ReadAt(text, 0); n > 0 {
		owner = " by the minion with process id " + strings.TrimSpace(string(text[:n]))
	}
	return &core.Error{
		Kind: core.KindConflict, Fact: fmt.Sprintf("working area %q is in use%s", dir, owner),
		Hint: "give each minion its own lorry-working-area, or run several jobs in one minion",
	}
}

// close gives the working area free. The lock ends with its descriptor.
func (a *area) close() {
	_ = os.RemoveAll(a.specs)
	// Closing alone is not enough: a child that is being started right now has a
	// copy of the descriptor until it becomes another program.
	_ = unix.Flock(int(a.lock.Fd()), unix.LOCK_UN)
	_ = a.lock.Close()
}

// writeSpec writes a specification to a file that only this user can read.
func (a *area) writeSpec(text string) (string, error) {
	f, err := os.CreateTemp(a.specs, "*.lorry") // with mode 0600
	if err != nil {
		return "", unusable(a.dir, err)
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return "", unusable(a.dir, err)
	}
	return f.Name(), nil
}

// diskUsage counts the bytes that a Lorry takes in the original's place for
// it, for commands that don't tell. A missing directory is 0.
func (a *area) diskUsage(path string) int64 {
	var total int64
	root := filepath.Join(a.dir, strings.ReplaceAll(path, "/", "_"))
	_ = filepath.WalkDir(root, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // what vanishes meanwhile takes nothing
		}
		if info, err := entry.Info(); err == nil {
			if stat, ok := info.Sys().(*syscall.Stat_t); ok {
				total += stat.Blocks * 512
			}
		}
		return nil
	})
	return total
}

// free counts the bytes that may still be written where the working area is,
// at least 1; 0 when the system does not tell.
func (a *area) free() int64 {
	var s unix.Statfs_t
	if err := unix.Statfs(a.dir, &s); err != nil {
		return 0
	}
	return max(int64(s.Bavail)*int64(s.Bsize), 1) //nolint:unconvert // types differ between systems
}
