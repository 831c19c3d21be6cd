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

// Errors is where a program that keeps what ssh says for itself leaves it.
func Errors(path string) string {
	text, err := os.ReadFile(path + errorSuffix)
	if err != nil {
		return ""
	}
	return string(text[max(0, len(text)-maxErrors):])
}

const (
	errorSuffix = ".err"
	maxErrors   = 4 << 10 // bytes
)

// New writes the program and gives its path. With quiet, what ssh says goes to
// Errors instead of to the tool's standard error, which some tools drop.
// cleanup removes everything.
func New(git *childproc.Git, a *core.Access, quiet bool) (path string, cleanup func(), err error) {
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
		_ = os.Remove(f.Name() + errorSuffix)
		remove()
	}
	end := ""
	if quiet {
		end = ` 2>>"$0` + errorSuffix + `"`
	}
	// Some tools ask for the version to learn what ssh this is. They add options of
	// their own, and ssh takes the first of a kind: brz
	// would do without the host's key on loopback.
	_, err = f.WriteString("#!/bin/sh\n[ \"$1\" = -V ] && exec ssh -V\nexec " + command + " -oNoHostAuthenticationForLocalhost=no \"$@\"" + end + "\n")
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
