//go:build !linux

package sshforge

import (
	"os/exec"
	"syscall"
)

// isolate puts a command into a process group of its own.
func isolate(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// waitExit has no portable form that does not reap.
func waitExit(int) bool { return false }
