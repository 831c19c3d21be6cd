package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/lorry-controller/lorry-controller/core"
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
	lock, err := os.OpenFile(filepath.Join(abs, "lock"), os.O_CREATE|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, badPlace(abs, err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, &core.Error{
				Kind: core.KindConflict,
				Fact: fmt.Sprintf("another lorry-controller uses the data directory %q", abs),
				Hint: "stop it first, or choose another directory with --data",
			}
		}
		return nil, fmt.Errorf("locking %q: %w", lock.Name(), err)
	}
	return &place{dir: abs, lock: lock}, nil
}

func badPlace(dir string, err error) error {
	return &core.Error{
		Kind: core.KindInvalid,
		Fact: fmt.Sprintf("the data directory %q can't be written to: %v", dir, err),
		Hint: "choose another directory with --data, or give this user the right to write there",
		Err:  err,
	}
}

// close gives the directory back. Closing the file alone is not enough: a child
// that is being started right now has a copy of its descriptor.
func (p *place) close() {
	_ = syscall.Flock(int(p.lock.Fd()), syscall.LOCK_UN)
	p.lock.Close()
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
