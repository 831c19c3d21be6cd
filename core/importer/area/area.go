// Package area keeps the working area: one directory for each Lorry, which one
// run at a time owns. It holds the lock, the Lorry's real name, the journal
// with which a run that died is undone, and puts an older tool's layout right.
//
// It must not know how a source is read or a repository pushed.
package area

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
)

// Names of the files and directories of one Lorry.
const (
	gitName     = "git"
	lockName    = "lock"
	nameName    = "name"
	journalName = "refs-before"
	pushName    = "pushing"
	pushedName  = "pushed"
	meantName   = "to-be-pushed"
	tempPrefix  = "new-"
	failPrefix  = "git-post-fail-"
)

// Area is the directory of one Lorry, locked.
type Area struct {
	Dir  string
	Name string // the Lorry's real name
	lock *os.File
	now  core.Clock
}

// Open takes the Lorry's directory below root, that of Dir, for this process,
// creating it. When another run has it, Open waits at most so long.
func Open(ctx context.Context, root, name string, wait time.Duration, now core.Clock) (*Area, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, gitfail.From(err, gitfail.Local)
	}
	for attempt := 0; ; attempt++ {
		a := &Area{Dir: Dir(root, name), Name: name, now: now}
		if err := os.MkdirAll(a.Dir, 0o755); err != nil {
			return nil, gitfail.New(core.FailDisk, gitfail.Local, "see to the space and the rights on the working area", "working area: %v", err)
		}
		if err := a.takeLock(ctx, wait); err != nil {
			return nil, err
		}
		err := a.checkName()
		if err == nil {
			return a, nil
		}
		a.Close()
		// Two Lorries may come to one directory at the same moment. By now it has
		// an owner, and the other one finds its own.
		if !errors.Is(err, errOwned) || attempt > 0 {
			return nil, gitfail.From(err, gitfail.Local)
		}
	}
}

// errOwned says that the directory belongs to another Lorry.
var errOwned = errors.New("the directory belongs to another Lorry")

// takeLock locks the directory. The lock belongs to the open file, which every
// child inherits: it ends when the last process that works here has ended.
func (a *Area) takeLock(ctx context.Context, wait time.Duration) error {
	f, err := os.OpenFile(filepath.Join(a.Dir, lockName), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return gitfail.New(core.FailDisk, gitfail.Local, "see to the space and the rights on the working area", "working area: %v", err)
	}
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			a.lock = f
			return nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			_ = f.Close()
			return gitfail.From(fmt.Errorf("cannot lock %s: %w", f.Name(), err), gitfail.Local)
		}
		select {
		case <-tick.C:
		case <-timeout.C:
			_ = f.Close()
			return gitfail.New(core.FailOther, gitfail.Local, "wait for it to end; two runs of one Lorry never work at once",
				"working area: another run works on %q", a.Name)
		case <-ctx.Done():
			_ = f.Close()
			return gitfail.From(context.Cause(ctx), gitfail.Local)
		}
	}
}

func (a *Area) checkName() error {
	owner := ownerOf(a.Dir)
	switch owner {
	case a.Name:
		return nil
	case "":
		return write(a.Path(nameName), a.Name+"\n", false)
	}
	return fmt.Errorf("working area: %w: %s is that of %q", errOwned, a.Dir, owner)
}

// Close gives the directory back.
func (a *Area) Close() { _ = a.lock.Close() }

// Lock is the open lock file, for children to inherit.
func (a *Area) Lock() *os.File { return a.lock }

// GitDir is where the Lorry's repository is or will be.
func (a *Area) GitDir() string { return filepath.Join(a.Dir, gitName) }

// Path is a file of this name in the Lorry's directory.
func (a *Area) Path(name string) string { return filepath.Join(a.Dir, name) }

// Temp makes an empty directory beside the repository. Sweep removes it should
// this run die.
func (a *Area) Temp() (string, error) { return os.MkdirTemp(a.Dir, tempPrefix) }

// Sweep removes what dead runs left beside the repository and makes an older
// layout (git-a and git-b) this one.
func (a *Area) Sweep() error {
	entries, err := os.ReadDir(a.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tempPrefix) || strings.HasPrefix(e.Name(), ".new-") {
			if err := os.RemoveAll(a.Path(e.Name())); err != nil {
				return err
			}
		}
	}
	if _, err := os.Lstat(a.GitDir()); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	newest, at := "", time.Time{}
	for _, name := range []string{"git-a", "git-b"} {
		if info, err := os.Stat(a.Path(filepath.Join(name, "objects"))); err == nil && info.ModTime().After(at) {
			newest, at = name, info.ModTime()
		}
	}
	if newest == "" {
		return nil
	}
	return os.Rename(a.Path(newest), a.GitDir())
}

// SetAside moves a repository that cannot be used any more out of the way. All
// copies but the last are removed unless keep is set, or one has old tips of
// rewritten refs that were not rescued yet.
func (a *Area) SetAside(keep bool) error {
	old, err := filepath.Glob(filepath.Join(escapeGlob(a.Dir), failPrefix+"*"))
	if err != nil {
		return err
	}
	sort.Strings(old)
	for _, dir := range old {
		if !keep && !holdsUnrescued(dir) {
			if err := os.RemoveAll(dir); err != nil {
				return err
			}
		}
	}
	return os.Rename(a.GitDir(), a.Path(failPrefix+a.now().UTC().Format("20060102T150405.000000000Z")))
}

// Install makes a finished repository, made in a directory of Temp, the
// Lorry's.
func (a *Area) Install(dir string) error {
	if err := os.Rename(dir, a.GitDir()); err != nil {
		return err
	}
	return syncDir(a.Dir)
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// write writes a file so that a reader finds it whole or as it was before;
// with sync even after a loss of power.
func write(path, text string, sync bool) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err == nil && sync {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	if err != nil || !sync {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}
