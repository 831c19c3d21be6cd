package sshfake

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"
)

const relayFlag = "-sshfake-relay"

// Relay is called first in TestMain. In the process that sshd starts as its
// forced command, which is the test's own program, it asks the test what to do
// and does not return; elsewhere it does nothing.
func Relay() {
	if len(os.Args) != 3 || os.Args[1] != relayFlag {
		return
	}
	code, err := relay(os.Args[2])
	if err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "relay: %v\n", err)
		code = 254
	}
	os.Exit(code)
}

func relay(socket string) (int, error) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return 0, err
	}
	me, err := user.Current()
	if err != nil {
		return 0, err
	}
	if err := json.NewEncoder(conn).Encode(Request{User: me.Username, Command: os.Getenv("SSH_ORIGINAL_COMMAND")}); err != nil {
		return 0, err
	}
	var a Answer
	if err := json.NewDecoder(conn).Decode(&a); err != nil {
		return 0, err
	}
	if len(a.Exec) > 0 {
		return 0, become(a.Exec)
	}
	_, _ = fmt.Fprint(os.Stderr, a.Stderr)
	_, _ = fmt.Fprint(os.Stdout, a.Stdout)
	return a.Exit, nil
}

// become replaces the process by a program on the PATH.
func become(argv []string) error {
	for dir := range strings.SplitSeq(os.Getenv("PATH"), ":") {
		path := filepath.Join(dir, argv[0])
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return syscall.Exec(path, argv, os.Environ()) //nolint:gosec // the test's own wish
		}
	}
	return fmt.Errorf("%s is not on the PATH", argv[0])
}
