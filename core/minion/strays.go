package minion

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// strayPatience is how long it is waited for strays to be gone.
const strayPatience = 5 * time.Second

// endStrays ends the programs that a minion has started in this working area and
// left behind when it was killed, with their process groups, and gives their
// process ids. Our own lorry ends by itself then; another one would go on beside
// the next that is started for the same Lorry. The caller has the area's lock: no
// living minion has started them.
func (a *area) endStrays(ctx context.Context) []int {
	var ended []int
	for late := time.Now().Add(strayPatience); time.Now().Before(late) && ctx.Err() == nil; {
		left := strays(a.specs + string(filepath.Separator))
		if len(left) == 0 {
			break
		}
		for _, pid := range left {
			group, err := unix.Getpgid(pid)
			if err == nil && group > 1 && group != unix.Getpgrp() {
				_ = unix.Kill(-group, unix.SIGKILL) // it may have ended meanwhile
			}
			_ = unix.Kill(pid, unix.SIGKILL)
			if !slices.Contains(ended, pid) {
				ended = append(ended, pid)
			}
		}
		sleep(ctx, 20*time.Millisecond)
	}
	return ended
}

// strays are the processes of this user that were given a specification below a
// directory; none where the system does not tell.
func strays(specs string) []int {
	var found []int
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline") // fails on a bad pattern alone
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		args := bytes.Split(bytes.TrimRight(line, "\x00"), []byte{0})
		last := string(args[len(args)-1])
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil || pid == os.Getpid() || !strings.HasPrefix(last, specs) || filepath.Ext(last) != ".lorry" || !mine(pid) {
			continue
		}
		found = append(found, pid)
	}
	return found
}

// mine reports whether a process is this user's.
func mine(pid int) bool {
	var at unix.Stat_t
	return unix.Stat(filepath.Join("/proc", strconv.Itoa(pid)), &at) == nil && int(at.Uid) == os.Geteuid()
}
