package minion

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
)

// command is the program that runs a job.
type command struct {
	path string // absolute
	// ours is set when it takes our options: a working area, and descriptors
	// for access and report. Any other gets the name of a file alone.
	ours bool
}

// findCommand finds the program for jobs. It is looked for at the start, so
// that a missing one does not make every Lorry fail.
func findCommand(ctx context.Context, name string, env []string) (command, error) {
	if name == "" {
		name = "lorry"
		if self, err := os.Executable(); err == nil {
			if beside := filepath.Join(filepath.Dir(self), "lorry"); executable(beside) {
				name = beside
			}
		}
	}
	path, err := lookUp(name, env)
	if err != nil {
		return command{}, err
	}
	cmd := command{path: path}
	// A program of another name may take "--help" for a file to work on.
	if filepath.Base(path) == "lorry" {
		cmd.ours, err = takesOurOptions(ctx, path, env)
	}
	return cmd, err
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && unix.Access(path, unix.X_OK) == nil
}

func lookUp(name string, env []string) (string, error) {
	missing := &core.Error{
		Kind: core.KindUnavailable, Fact: fmt.Sprintf("program %q, which runs the jobs, is not there or can't be executed", name),
		Hint: "install it, or name another one with lorry-cmd",
	}
	if strings.ContainsRune(name, filepath.Separator) {
		path, err := filepath.Abs(name)
		if err != nil || !executable(path) {
			return "", missing
		}
		return path, nil
	}
	for _, line := range env {
		dirs, ok := strings.CutPrefix(line, "PATH=")
		if !ok {
			continue
		}
		for _, dir := range filepath.SplitList(dirs) {
			if path := filepath.Join(dir, name); filepath.IsAbs(dir) && executable(path) {
				return path, nil
			}
		}
	}
	return "", missing
}

// takesOurOptions asks a lorry for its options; the original's has others.
func takesOurOptions(ctx context.Context, path string, env []string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	var help bytes.Buffer
	err := childproc.Run(ctx, childproc.Spec{Name: path, Args: []string{"--help"}, Env: env, Stdout: &help})
	var exit *childproc.ExitError
	if err != nil && !errors.As(err, &exit) {
		return false, fmt.Errorf("%s --help failed: %w", path, err)
	}
	return bytes.Contains(help.Bytes(), []byte("--report-fd")), nil
}
