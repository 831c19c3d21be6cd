package cli

import (
	"fmt"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// bound limits what this process, and with it every program that it starts,
// may have of memory and write to one file, in bytes; 0 is no limit. What goes
// beyond gets an error, not a signal.
func bound(memory, fileSize int64) error {
	signal.Ignore(syscall.SIGXFSZ)
	for _, limit := range []struct {
		resource int
		bytes    int64
		what     string
	}{{unix.RLIMIT_DATA, memory, "memory"}, {unix.RLIMIT_FSIZE, fileSize, "the size of files"}} {
		if limit.bytes <= 0 {
			continue
		}
		var old unix.Rlimit
		if err := unix.Getrlimit(limit.resource, &old); err != nil {
			return fmt.Errorf("cannot limit %s: %w", limit.what, err)
		}
		wanted := min(uint64(limit.bytes), old.Max)
		if err := unix.Setrlimit(limit.resource, &unix.Rlimit{Cur: wanted, Max: wanted}); err != nil {
			return fmt.Errorf("cannot limit %s: %w", limit.what, err)
		}
	}
	return nil
}
