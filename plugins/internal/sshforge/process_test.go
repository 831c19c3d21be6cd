package sshforge

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/sdk/forgetest/tool"
)

// program writes a shell script that stands in for ssh.
func program(t *testing.T, script string) *Client {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ssh")
	// A child that is forked while the file is open for writing would keep it
	// from being run.
	syscall.ForkLock.RLock()
	err := os.WriteFile(file, []byte("#!/bin/sh\n"+script+"\n"), 0o700) //nolint:gosec // to be run
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Target{Host: "git.example.com"}, Options{Program: file})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ended waits until a process is gone, or dead and only not reaped by its parent.
func ended(t *testing.T, pid int) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for tick := time.NewTicker(10 * time.Millisecond); ; {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("process %d still runs", pid)
		}
	}
}

func TestContextEndsEverythingThatSSHStarted(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		tool.Missing(t, "there is no /proc", "all")
	}
	c := program(t, "sleep 600 &\necho $!\nwait")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	pid := 0
	for line, err := range c.Lines(ctx, "x") {
		if err != nil {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error is %v", err)
			}
			break
		}
		if _, err := fmt.Sscan(line, &pid); err != nil {
			t.Fatal(err)
		}
		cancel()
	}
	if pid == 0 {
		t.Fatal("there was no process")
	}
	ended(t, pid)
}

func TestProcessThatLeavesTheGroupHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	c := program(t, "setsid sleep 600 &\necho $!")
	out, err := c.Run(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Sscan(string(out), &pid); err != nil {
		t.Fatal(err)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
}

func TestOneCommandIsOneArgument(t *testing.T) {
	t.Parallel()
	c := program(t, `for a in "$@"; do echo "$a"; done; env`)
	out, err := c.Run(t.Context(), "config", "-oProxyCommand=x", "a b; c")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(out), "\n")
	for i, line := range lines {
		if line != "--" {
			continue
		}
		if want := []string{"git.example.com", `config -oProxyCommand=x a\ b\;\ c`}; lines[i+1] != want[0] || lines[i+2] != want[1] {
			t.Errorf("after the options come %q, want %q", lines[i+1:i+3], want)
		}
		return
	}
	t.Errorf("nothing ends the options: %q", lines)
}
