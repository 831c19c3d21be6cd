//go:build !linux

package host

import (
	"os/exec"
	"syscall"
)

// isolate puts a command into a process group of its own. Only Linux can kill
// it when the core dies.
func isolate(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// waitExit has no portable form; the caller's Wait does it.
func waitExit(int) {}

// killMarked finds nothing: only Linux shows the environment of a process.
func killMarked(string) {}
