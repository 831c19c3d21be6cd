package svnsource

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/meter"
)

// anyPath lets Subversion take paths on this machine that are not ASCII alone:
// of its own, and of repositories. Its messages stay as they are.
const anyPath = "LC_ALL=C.UTF-8"

// svn runs the client svn for everything but http, never asks and keeps
// nothing. It gives the output.
func (s *Source) svn(ctx context.Context, command string, args ...string) (string, error) {
	var out bytes.Buffer
	err := s.svnTo(ctx, &out, command, args...)
	return out.String(), err
}

// svnTo does the same with an output of any length.
func (s *Source) svnTo(ctx context.Context, out io.Writer, command string, args ...string) error {
	ssh, cleanup, err := s.Repo.Git.SSHCommand(&s.Access)
	if err != nil {
		return err
	}
	defer cleanup()
	options := []string{command, "--non-interactive", "--no-auth-cache", "--config-dir=" + s.configDir()}
	call := childproc.Spec{
		Name: "svn", Env: append(s.Repo.Git.ToolEnv(), "SVN_SSH="+ssh, anyPath), Dir: s.Repo.Git.Home(), ExtraFiles: s.Repo.Files,
	}
	if !s.Access.Secret.Empty() {
		options = append(options, "--username="+s.Access.Username, "--password-from-stdin")
		call.Stdin, call.Secrets = strings.NewReader(s.Access.Secret.Reveal()), []string{s.Access.Secret.Reveal()}
	}
	call.Args, call.Stdout = append(options, args...), out
	return childproc.Run(ctx, call)
}

// askSvn runs the client svn over whatever network git svn has used.
func (s *Source) askSvn(ctx context.Context, command string, args ...string) (string, error) {
	var out bytes.Buffer
	err := s.askSvnTo(ctx, &out, command, args...)
	return out.String(), err
}

// askSvnTo does the same with an output of any length.
func (s *Source) askSvnTo(ctx context.Context, out io.Writer, command string, args ...string) error {
	if !strings.HasPrefix(s.Access.URL, "http") {
		return s.svnTo(ctx, out, command, args...)
	}
	config, done, err := s.networkConfig()
	if err != nil {
		return err
	}
	defer done()
	options := []string{"--config-dir=" + config}
	if s.Access.SkipCertificates {
		options = append(options, "--trust-server-cert-failures=unknown-ca,cn-mismatch,expired,not-yet-valid,other")
	}
	return s.svnTo(ctx, out, command, append(options, args...)...)
}

// configDir is a directory of Subversion's own, in place of the account's.
func (s *Source) configDir() string { return filepath.Join(s.Repo.Git.Home(), "subversion") }

// networkConfig gives the directory of Subversion's configuration. Where the
// network is reached through the job's relay, or other authorities than the
// system's are trusted, it is one of this job alone.
func (s *Source) networkConfig() (dir string, done func(), err error) {
	text := "[global]\n"
	if proxy, err := url.Parse(s.Repo.Git.Proxy()); err != nil {
		return "", nil, err
	} else if proxy.Host != "" {
		token, _ := proxy.User.Password()
		text += fmt.Sprintf("http-proxy-host = %s\nhttp-proxy-port = %s\nhttp-proxy-username = %s\nhttp-proxy-password = %s\n",
			proxy.Hostname(), proxy.Port(), proxy.User.Username(), token)
	}
	authorities, err := s.authorities()
	if err != nil {
		return "", nil, err
	}
	if text == "[global]\n" && len(authorities) == 0 {
		return s.configDir(), func() {}, nil
	}
	if dir, err = s.Area.Temp(); err != nil {
		return "", nil, err
	}
	files := make([]string, len(authorities))
	for i, certificate := range authorities {
		files[i] = filepath.Join(dir, fmt.Sprintf("authority-%d.pem", i))
		if err == nil {
			err = os.WriteFile(files[i], certificate, 0o600)
		}
	}
	if len(files) > 0 {
		text += "ssl-authority-files = " + strings.Join(files, ";") + "\n"
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "servers"), []byte(text), 0o600)
	}
	if err != nil {
		_ = os.RemoveAll(dir)
		return "", nil, err
	}
	return dir, func() { _ = os.RemoveAll(dir) }, nil
}

// authorities are the certificates of the authorities that are trusted beside
// the system's, each alone: Subversion reads no more than one from a file.
func (s *Source) authorities() ([][]byte, error) {
	rest := []byte(s.Access.Authorities)
	if s.Route.CAFile != "" {
		own, err := os.ReadFile(s.Route.CAFile)
		if err != nil {
			return nil, err
		}
		rest = append(append(rest, '\n'), own...)
	}
	var list [][]byte
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return list, nil
		}
		if block.Type == "CERTIFICATE" {
			list = append(list, pem.EncodeToMemory(block))
		}
	}
}

// answers answers git svn's questions from its environment. What is asked for
// is never in an argument or a file.
const answers = `#!/bin/sh
case "$1" in
*"(R)eject"*) if [ "$LORRY_TRUST" = 1 ]; then echo t; else echo R; fi ;;
[Uu]sername*) printf '%s\n' "$LORRY_USERNAME" ;;
*) printf '%s\n' "$LORRY_SECRET" ;;
esac
`

// fetch runs git svn fetch.
func (s *Source) fetch(ctx context.Context, rec record, now info) error {
	ssh, cleanup, err := s.Repo.Git.SSHCommand(&s.Access)
	if err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	defer cleanup()
	if err := s.configure(ctx, rec, now); err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	config, done, err := s.networkConfig()
	if err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	defer done()
	args := []string{"svn", "fetch", "-q", "--no-auth-cache", "--config-dir=" + config}
	env := []string{"SVN_SSH=" + ssh, anyPath}
	var secrets []string
	if !s.Access.Secret.Empty() || s.Access.SkipCertificates {
		dir, err := s.Area.Temp()
		if err != nil {
			return gitfail.From(err, gitfail.Local)
		}
		defer func() { _ = os.RemoveAll(dir) }()
		script := filepath.Join(dir, "answers")
		if err := os.WriteFile(script, []byte(answers), 0o700); err != nil {
			return gitfail.From(err, gitfail.Local)
		}
		env = append(env, "GIT_ASKPASS="+script, "LORRY_USERNAME="+s.Access.Username, "LORRY_SECRET="+s.Access.Secret.Reveal())
		if s.Access.SkipCertificates {
			env = append(env, "LORRY_TRUST=1")
		}
		if s.Access.Username != "" {
			args = append(args, "--username="+s.Access.Username)
		}
		secrets = []string{s.Access.Secret.Reveal()}
	}
	call := s.Repo.Call(args...)
	call.Env, call.Secrets = env, secrets
	call.Stdout = s.revisions(now)
	if err := s.Repo.Git.Run(ctx, call); err != nil {
		var exit *childproc.ExitError
		if errors.As(err, &exit) && strings.Contains(exit.Stderr, "Checksum mismatch: ") {
			return otherHistory("what was mirrored of a file is not what the next revision changes")
		}
		if errors.As(err, &exit) && strings.Contains(exit.Stderr, " was not found in commit ") {
			return gitfail.New(core.FailDiverged, gitfail.Upstream,
				"if the account may read more than it might before, remove this Lorry's directory from the working area: its history is then another",
				"upstream: a revision changes what was not mirrored: %v", exit)
		}
		return gitfail.From(err, gitfail.Upstream)
	}
	return nil
}

// revisions counts the lines of git svn that tell a revision, such as
// "r12 = 0123… (refs/…)".
func (s *Source) revisions(now info) io.Writer {
	last, _ := strconv.ParseInt(now.revision, 10, 64) // 0: nobody knows
	m := meter.Count(s.Progress, s.Clock, "Converting revisions", last)
	return meter.Lines(func(line string) {
		name, _, ok := strings.Cut(line, " = ")
		if n, err := strconv.ParseInt(strings.TrimPrefix(name, "r"), 10, 64); ok && err == nil {
			m.Set(n)
		}
	})
}

// configure writes where git svn fetches from and to. Commits name the URL that
// the first of them came from, so that a repository that has moved keeps its
// history.
func (s *Source) configure(ctx context.Context, rec record, now info) error {
	root, below := split(s.Access.URL, now.path)
	first, _ := split(rec.URL, now.path)
	settings := []childproc.Setting{
		{Key: "url", Value: root},
		{Key: "rewriteRoot", Value: first},
		{Key: "fetch", Value: join(below, rec.Layout.Trunk) + ":" + trunkRef},
		{Key: "branches", Value: join(below, rec.Layout.Branches) + ":" + headsRefs + "*"},
		{Key: "tags", Value: join(below, rec.Layout.Tags) + ":" + tagsRefs + "*"},
	}
	for _, set := range settings {
		key := "svn-remote.svn." + set.Key
		args := []string{"config", "--replace-all", "--", key, set.Value}
		if strings.HasPrefix(set.Value, ":") || set.Key == "rewriteRoot" && first == root {
			args = []string{"config", "--unset-all", "--", key}
			if text, err := s.Repo.Git.Output(ctx, s.Repo.Call("config", "--default=", "--get", key)); err == nil && strings.TrimSpace(text) == "" {
				continue
			}
		}
		if err := s.Repo.Git.Run(ctx, s.Repo.Call(args...)); err != nil {
			return err
		}
	}
	return nil
}

// split takes the path below the repository's root off a URL if it holds what a
// URL has to escape: git svn compares the URL's own with plain names, and finds
// nothing. It gives the path as git svn's settings want it, escaped.
func split(address, path string) (root, below string) {
	segments := strings.Split(path, "/")
	for i, segment := range segments {
		segments[i] = strings.ReplaceAll(url.PathEscape(segment), ":", "%3A")
	}
	below = strings.Join(segments, "/")
	root = strings.TrimRight(address, "/")
	if !strings.Contains(below, "%") {
		return address, ""
	}
	for range segments {
		root = root[:max(0, strings.LastIndexByte(root, '/'))]
	}
	return root, below
}

func join(below, place string) string {
	switch {
	case below == "" || place == "":
		return place
	case place == ".":
		return below
	}
	return below + "/" + place
}
