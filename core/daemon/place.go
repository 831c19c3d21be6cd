package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/statedb"
)

// place is the data directory, locked for this process.
type place struct {
	dir  string
	lock *os.File
}

// openPlace makes the data directory and takes its lock, so that two daemons
// never share one STATEDB file and one working area.
func openPlace(dir string) (*place, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("data directory %q: %w", dir, err)
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return nil, badPlace(abs, err)
	}
	lock, err := lockFile(filepath.Join(abs, "lock"))
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, &core.Error{
			Kind: core.KindConflict,
			Fact: fmt.Sprintf("another lorry-controller uses the data directory %q", abs),
			Hint: "stop it first, or choose another directory with --data",
		}
	}
	if err != nil {
		return nil, badPlace(abs, err)
	}
	return &place{dir: abs, lock: lock}, nil
}

// lockFile makes a file and takes its lock, or gives syscall.EWOULDBLOCK.
func lockFile(name string) (*os.File, error) {
	lock, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, err
	}
	return lock, nil
}

// unlock closes a locked file. Closing alone is not enough: a child that is
// being started right now has a copy of its descriptor.
func unlock(lock *os.File) {
	_ = syscall.Flock(int(lock.Fd()), syscall.LOCK_UN)
	lock.Close()
}

// lockStateDB takes the lock of an SQLite STATEDB for as long as a core serves
// it: one may stand outside of the data directory, so that the lock of that is
// no proof. It gives what releases it.
func lockStateDB(path string) (release func(), err error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if at, err := os.Stat(path); err == nil && at.IsDir() {
		return nil, badStateDB(path, syscall.EISDIR)
	}
	lock, err := lockFile(path + ".lock")
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, &core.Error{
			Kind: core.KindConflict,
			Fact: fmt.Sprintf("another lorry-controller uses the state database %q", path),
			Hint: "stop it first, or name another one with --statedb; several can share a PostgreSQL database",
		}
	}
	if err != nil {
		return nil, badStateDB(path, err)
	}
	return func() { unlock(lock) }, nil
}

func badPlace(dir string, err error) error {
	return &core.Error{
		Kind: core.KindInvalid,
		Fact: fmt.Sprintf("the data directory %q can't be written to: %v", dir, err),
		Hint: "choose another directory with --data, or give this user the right to write there",
		Err:  err,
	}
}

// close gives the directory back.
func (p *place) close() { unlock(p.lock) }

// name tells this directory from all others of the running system: by the boot,
// the file system and the inode of its lock, which no copy of it has. Whoever
// has had the name before is dead while this process has the lock. It is "" when
// the system does not tell.
func (p *place) name() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	var s syscall.Stat_t
	if err := syscall.Fstat(int(p.lock.Fd()), &s); err != nil {
		return ""
	}
	return fmt.Sprintf("%s/%x/%x", strings.TrimSpace(string(boot)), s.Dev, s.Ino)
}

// leaderPrefix begins the name under which this core does the upkeep; no other
// living core has it.
func (d *Daemon) leaderPrefix() string { return d.placeName + ":" }

// takeUpkeepOver ends the lease of a core that was killed and had this one's
// place, so that nobody waits for it: a changed CONFGIT is read at once. The
// lock of an SQLite file proves that of any core; with PostgreSQL others may
// lead, and only who had this data directory before is known to be dead.
func (d *Daemon) takeUpkeepOver(ctx context.Context) error {
	switch {
	case !statedb.IsPostgres(d.config.StateDB.Reveal()):
		return d.db.EndLease(ctx, "")
	case d.placeName != "":
		return d.db.EndLease(ctx, d.leaderPrefix())
	}
	return nil
}

// listen opens the address of the API and the pages.
func listen(ctx context.Context, address string) (net.Listener, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", address)
	if err == nil {
		return l, nil
	}
	hint := "choose another address with --listen ADDR:PORT"
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, &core.Error{
			Kind: core.KindConflict, Err: err, Hint: "stop the program that uses it, or " + hint,
			Fact: fmt.Sprintf("the address %s is already in use", address),
		}
	}
	return nil, &core.Error{Kind: core.KindInvalid, Err: err, Hint: hint, Fact: fmt.Sprintf("can't listen on %s: %v", address, err)}
}

// onLoopback reports whether only this machine can reach the address.
func onLoopback(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	return !ok || tcp.IP.IsLoopback()
}
