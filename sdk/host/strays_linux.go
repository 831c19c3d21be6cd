package host

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// killMarked kills the processes that an adapter has left outside its group: one
// that called setsid, or that was started by such a one.
//
// They are known by a mark in their environment, which survives a setsid, a
// second fork and the death of every parent. The kernel's own means do not fit:
// were the core a subreaper, orphans of all adapters, of git and of importers
// would become its children, without a word of whose they were, and each would
// have to be told from those that os/exec waits for; control groups need rights
// that the core does not have. A process that clears its environment as well
// gets away, but can no more be in the way than any other program of that user.
func killMarked(mark string) {
	const rounds = 20 // a process that forks all the time is not hunted for ever
	if mark == "" {
		return
	}
	for range rounds {
		if !killRound([]byte(mark)) {
			return
		}
	}
}

// killRound kills every marked process that is there now and reports whether
// there was one.
func killRound(mark []byte) (found bool) {
	files, _ := filepath.Glob("/proc/[0-9]*/environ") // fails on a bad pattern alone
	for _, file := range files {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil || pid == os.Getpid() || !isMarked(file, mark) {
			continue
		}
		found = killOne(pid, file, mark) || found
	}
	return found
}

// killOne kills a process by a handle, so that no other one with the same number
// is hit, and waits a moment for its end.
func killOne(pid int, file string, mark []byte) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return false // gone
	}
	defer func() { _ = unix.Close(fd) }()
	if !isMarked(file, mark) || unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) != nil {
		return false
	}
	const patience = 100 * time.Millisecond
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(patience.Milliseconds())) //nolint:gosec // descriptors are small
	return true
}

func isMarked(file string, mark []byte) bool {
	env, err := os.ReadFile(file)
	return err == nil && bytes.Contains(env, mark)
}
