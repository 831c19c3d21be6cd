package cvssource

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/meter"
	"github.com/lorry-controller/lorry-controller/core/importer/sshscript"
)

var errStop = errors.New("no more is wanted")

// surroundings are what every program of CVS runs in.
type surroundings struct {
	env     []string
	files   []*os.File
	secrets []string
	close   func()
}

// around prepares a home of its own for a program: CVS and cvsps read and write
// files there.
func (s *Source) around(home string) (surroundings, error) {
	git := s.Repo.Git
	if err := os.MkdirAll(home, 0o700); err != nil {
		return surroundings{}, err
	}
	ssh, cleanup, err := sshscript.New(git, &s.Access, false)
	if err != nil {
		return surroundings{}, err
	}
	a := surroundings{close: cleanup, files: append([]*os.File{}, s.Repo.Files...)}
	password, err := s.password(home)
	if err != nil {
		cleanup()
		return surroundings{}, err
	}
	a.files = append(a.files, password)
	a.close = func() {
		_ = password.Close()
		cleanup()
	}
	if !s.Access.Secret.Empty() {
		a.secrets = []string{s.Access.Secret.Reveal()}
	}
	file := fmt.Sprintf("/proc/self/fd/%d", 2+len(a.files))
	link := filepath.Join(home, ".cvspass")
	if err := os.Remove(link); err != nil && !errors.Is(err, os.ErrNotExist) {
		a.close()
		return surroundings{}, err
	}
	if err := os.Symlink(file, link); err != nil {
		a.close()
		return surroundings{}, err
	}
	a.env = append(git.ToolEnv(), "HOME="+home, "CVS_PASSFILE="+file, "CVS_RSH="+ssh, "CVS_IGNORE_REMOTE_ROOT=1", "LOGNAME=lorry", "USER=lorry")
	if s.local() {
		a.env = append(a.env, "CVSREADONLYFS=1")
	}
	return a, nil
}

// local reports whether the repository is on this machine: nothing is written
// there, not even a lock.
func (s *Source) local() bool { return strings.HasPrefix(s.Access.URL, "/") }

// password is the file of passwords, in memory.
func (s *Source) password(home string) (*os.File, error) {
	fd, err := unix.MemfdCreate("cvspass", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("password of cvs: %w", err)
	}
	f := os.NewFile(uintptr(fd), "cvspass")
	line, err := passwordLine(s.Access, s.Open)
	if err == nil {
		_, err = f.WriteString(line)
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("password of cvs in %s: %w", filepath.Base(home), err)
	}
	return f, nil
}

// cvs runs the client cvs for one question.
func (s *Source) cvs(ctx context.Context, out io.Writer, args ...string) error {
	a, err := s.around(filepath.Join(s.Repo.Git.Home(), "cvs"))
	if err != nil {
		return err
	}
	defer a.close()
	return childproc.Run(ctx, childproc.Spec{
		Name: "cvs", Args: append([]string{"-Q", "-f", "-d", s.Access.URL}, args...), Dir: s.Repo.Git.Home(),
		Env: a.env, ExtraFiles: a.files, Secrets: a.secrets, Stdout: out,
	})
}

// cvsimport runs git cvsimport in a state. The home of a state keeps what cvsps
// knows already.
func (s *Source) cvsimport(ctx context.Context, state string, revisions int) error {
	a, err := s.around(filepath.Join(state, "home"))
	if err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	defer a.close()
	if err := sweep(state); err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	temp := filepath.Join(state, "tmp")
	if err := os.RemoveAll(temp); err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	if err := os.MkdirAll(temp, 0o700); err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	problems := meter.Lines(func(line string) {
		for _, p := range []string{"UNKNOWN LINE", "Ignoring path", "does not exist!", "already exists!", "erroneously stems"} {
			if strings.Contains(line, p) {
				fmt.Fprintf(s.Out, ".. warning: %s\n", line)
			}
		}
	})
	current := ""
	done := meter.Count(s.Progress, s.Clock, "Converting revisions", int64(revisions))
	call := childproc.GitCall{
		Stdout: meter.Lines(func(line string) {
			if file, ok := strings.CutPrefix(line, "Fetching "); ok {
				current = file
				done.Add(1)
			}
		}),
		Args: []string{"cvsimport", "-v", "-R", "-p", "-q", "-a", "-i", "-r", "cvs", "-o", trunk, "-d", s.Access.URL, "-C", filepath.Join(state, "tree"), s.Module},
		Env:  append(a.env, "TMPDIR="+temp), ExtraFiles: a.files, Secrets: a.secrets, Stderr: io.MultiWriter(s.Progress, problems),
		// The objects are synced when they are taken over; an import that is cut
		// short is made anew.
		Config: []childproc.Setting{{Key: "core.fsync", Value: "none"}, {Key: "init.defaultBranch", Value: "master"}},
	}
	if err := s.Repo.Git.Run(ctx, call); err != nil {
		e := failure(err)
		if e.Kind == core.FailCorrupt && current != "" {
			e.Cause += ": " + strings.Join(strings.Fields(current), " ")
		}
		return e
	}
	return nil
}

// failure reads what the programs of CVS say.
func failure(err error) *gitfail.Error {
	var exit *childproc.ExitError
	if !errors.As(err, &exit) || exit.Err != nil {
		return gitfail.From(err, gitfail.Upstream)
	}
	text := strings.ToLower(exit.Stderr)
	for _, r := range []struct {
		kind     core.FailureKind
		patterns []string
	}{
		{core.FailTool, []string{"'cvsimport' is not a git command", "could not start cvsps", "could not start cvsps"}},
		{core.FailDisk, []string{"no space left", "disk quota", "input/output error"}},
		{core.FailHostKey, []string{"host key verification failed"}},
		{core.FailAuth, []string{"permission denied", "authorization failed", "i hate you", "root not allowed", "no such user"}},
		{core.FailNetwork, []string{"connection refused", "timed out", "unknown host", "name or service not known", "end of file from server", "network is unreachable", "socket to", "connection reset", "could not resolve"}},
		{core.FailCorrupt, []string{"in rcs file", "unknown: error"}},
		{core.FailGone, []string{"cannot find module", "no such file or directory", "no such directory", "no such repository", "cannot find"}},
	} {
		for _, p := range r.patterns {
			i := strings.Index(text, p)
			if i < 0 || len(text) != len(exit.Stderr) {
				continue
			}
			line, _, _ := strings.Cut(exit.Stderr[strings.LastIndexByte(exit.Stderr[:i], '\n')+1:], "\n")
			hint := gitfail.Hint(r.kind, gitfail.Upstream)
			if r.kind == core.FailTool {
				hint = "install git cvsimport and cvsps where the minion runs (on Debian: apt install git-cvs cvsps cvs)"
			}
			if r.kind == core.FailCorrupt {
				hint = "have the file repaired upstream, or restored from a backup; a checkout of it with cvs tells more"
			}
			if line = strings.TrimSpace(line); line == "Unknown: error" { // git cvsimport's word for any error of cvs
				line = "cvs cannot give a revision"
			}
			e := gitfail.New(r.kind, gitfail.Upstream, hint, "upstream: %s", line)
			e.Err = err
			return e
		}
	}
	return gitfail.From(err, gitfail.Upstream)
}
