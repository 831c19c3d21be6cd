// Package sshscript writes a job's way of calling ssh into a small program, for
// tools that take the name of one program and no arguments.
//
// It must not hold a credential: ssh finds its keys itself.
package sshscript

import (
	"os"
	"path/filepath"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
)

// New writes the program and gives its path. cleanup removes it.
func New(git *childproc.Git, a *core.Access) (path string, cleanup func(), err error) {
	command, remove, err := git.SSHCommand(a)
	if err != nil {
		return "", nil, err
	}
	f, err := os.CreateTemp(filepath.Join(git.Home(), "tmp"), "ssh-*")
	if err != nil {
		remove()
		return "", nil, err
	}
	cleanup = func() {
		_ = os.Remove(f.Name())
		remove()
	}
	_, err = f.WriteString("#!/bin/sh\nexec " + command + " \"$@\"\n")
	if err == nil {
		err = f.Chmod(0o700)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		cleanup()
		return "", nil, err
	}
	return f.Name(), cleanup, nil
}
