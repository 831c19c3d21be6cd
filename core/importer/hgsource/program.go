package hgsource

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/lorry-controller/lorry-controller/core/childproc"
)

//go:embed lorry.py
var extension string

// insecure puts the option before the others where certificates are not to be
// verified.
func (s *Source) insecure(args ...string) []string {
	if s.Access.SkipCertificates {
		return append([]string{"--insecure"}, args...)
	}
	return args
}

// hg runs hg with a configuration of ours alone. Its output goes to out, or is
// given back when out is nil.
func (s *Source) hg(ctx context.Context, out io.Writer, command string, args ...string) (string, error) {
	git := s.Repo.Git
	ssh, cleanup, err := git.SSHCommand(&s.Access)
	if err != nil {
		return "", err
	}
	defer cleanup()
	path, err := installExtension(git.Home())
	if err != nil {
		return "", err
	}
	config, err := s.config(path, ssh)
	if err != nil {
		return "", err
	}
	defer func() { _ = config.Close() }()
	files := append(append([]*os.File{}, s.Repo.Files...), config)
	var secrets []string
	if !s.Access.Secret.Empty() {
		secrets = []string{s.Access.Secret.Reveal()}
	}
	environment := append(git.ToolEnv(), "HGPLAIN=1", "HGENCODING=utf-8", "HGRCSKIPREPO=1", "PYTHONDONTWRITEBYTECODE=1",
		fmt.Sprintf("HGRCPATH=/proc/self/fd/%d", 2+len(files)))
	authorities, err := git.AuthorityFile(&s.Access)
	if err != nil {
		return "", err
	}
	if authorities != "" {
		environment = append(environment, "SSL_CERT_FILE="+authorities)
	}
	var answer bytes.Buffer
	if out == nil {
		out = &answer
	}
	stderr := childproc.NewRedactor(s.Progress, secrets...)
	defer func() { _ = stderr.Close() }()
	if out == s.Progress {
		out = stderr // hg writes both at once, and only the redactor takes that
	}
	err = childproc.Run(ctx, childproc.Spec{
		Name: "hg", Args: append([]string{command}, args...), Dir: git.Home(), ExtraFiles: files, Secrets: secrets,
		Env: environment, Stdout: out, Stderr: stderr,
	})
	return answer.String(), err
}

// installExtension writes the extension into the private home.
func installExtension(home string) (string, error) {
	path := filepath.Join(home, "lorry-hg.py")
	if old, err := os.ReadFile(path); err == nil && string(old) == extension {
		return path, nil
	}
	f, err := os.CreateTemp(home, ".new-*")
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(extension)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return path, err
}

// config is hg's configuration, in memory: it may hold a credential.
func (s *Source) config(extension, ssh string) (*os.File, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "[ui]\ninteractive = no\nclonebundles = no\nssh = %s\n[extensions]\nlorry = %s\n[subrepos]\nallowed = no\n[http_proxy]\nalways = yes\n", ssh, extension)
	if u, err := url.Parse(s.Access.URL); err == nil && !s.Access.Secret.Empty() && (u.Scheme == "http" || u.Scheme == "https") {
		user := s.Access.Username
		if user == "" {
			user = "git"
		}
		secret := s.Access.Secret.Reveal()
		if strings.ContainsAny(user+secret, "\r\n") {
			return nil, fmt.Errorf("the credential of the upstream holds a line break")
		}
		fmt.Fprintf(&b, "[auth]\nlorry.prefix = %s\nlorry.schemes = %s\nlorry.username = %s\nlorry.password = %s\n", u.Host, u.Scheme, user, secret)
	}
	fd, err := unix.MemfdCreate("hgrc", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("configuration of hg: %w", err)
	}
	f := os.NewFile(uintptr(fd), "hgrc")
	if _, err := f.WriteString(b.String()); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("configuration of hg: %w", err)
	}
	return f, nil
}
