package bzrsource

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/sshscript"
)

//go:embed lorry.py
var plugin string

// brz runs Breezy, or the older bzr, with a configuration of ours alone. Its
// output goes to out, or is given back when out is nil. near is whether it
// works in the working area alone.
func (s *Source) brz(ctx context.Context, near bool, out io.Writer, command string, args ...string) (string, error) {
	git := s.Repo.Git
	path, err := installPlugin(git.Home())
	if err != nil {
		return "", err
	}
	first := s.Branches[0].Access
	ssh, cleanup, err := sshscript.New(git, &first, true)
	if err != nil {
		return "", err
	}
	defer cleanup()
	file, secrets, err := s.access(near)
	if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	files := append(append([]*os.File{}, s.Repo.Files...), file)
	home := filepath.Join(git.Home(), "bzr")
	if err := os.MkdirAll(home, 0o700); err != nil {
		return "", err
	}
	var answer bytes.Buffer
	if out == nil {
		out = &answer
	}
	stderr := childproc.NewRedactor(s.Progress, secrets...)
	defer func() { _ = stderr.Close() }()
	options := []string{command, "-Olocks.steal_dead=true", "-Ossl.cert_reqs=required"}
	if first.SkipCertificates {
		options[2] = "-Ossl.cert_reqs=none"
	}
	authorities, err := git.AuthorityFile(&first)
	if err != nil {
		return "", err
	}
	if authorities != "" {
		options = append(options, "-Ossl.ca_certs="+authorities)
	}
	call := childproc.Spec{
		Name: "brz", Args: append(options, args...), Dir: git.Home(), ExtraFiles: files, Secrets: secrets,
		Env: append(git.ToolEnv(), "BRZ_HOME="+home, "BRZ_PLUGIN_PATH=-user:-site:+core", "BRZ_PLUGINS_AT=lorry@"+path, "BRZ_DISABLE_PLUGINS=github:gitlab:netrc_credential_store:email:propose:pypi:webdav",
			"BRZ_EMAIL=Lorry <lorry@lorry>", "BRZ_LOG=/dev/null", "BRZ_PROGRESS_BAR=none", "BRZ_SSH="+ssh, "PYTHONDONTWRITEBYTECODE=1",
			// Where brz is a program with a Python inside, the locale alone says how paths are written.
			"LC_ALL=C.UTF-8", "PYTHONUTF8=1",
			fmt.Sprintf("LORRY_ACCESS_FD=%d", 2+len(files))),
		Stdout: out, Stderr: stderr,
	}
	err = childproc.Run(ctx, call)
	if errors.Is(err, childproc.ErrNotInstalled) {
		call.Name = "bzr"
		if older := childproc.Run(ctx, call); !errors.Is(older, childproc.ErrNotInstalled) {
			err = older
		}
	}
	var exit *childproc.ExitError
	if errors.As(err, &exit) {
		exit.Stderr = childproc.Redact(sshscript.Errors(ssh), secrets...) + exit.Stderr
	}
	return answer.String(), err
}

// installPlugin writes the plugin into the private home.
func installPlugin(home string) (string, error) {
	path := filepath.Join(home, "lorry_bzr.py")
	if old, err := os.ReadFile(path); err == nil && string(old) == plugin {
		return path, nil
	}
	f, err := os.CreateTemp(home, ".new-*")
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(plugin)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	return path, err
}

// permit is what the plugin holds a run to.
type permit struct {
	Hosts       [][3]any     `json:"hosts"` // scheme, host, port or nil
	Paths       []string     `json:"paths"` // directories, with a slash at their end
	Launchpad   bool         `json:"launchpad"`
	Credentials []credential `json:"credentials"`
}

type credential struct {
	Scheme   string `json:"scheme"`
	Host     string `json:"host"`
	Port     any    `json:"port"`
	User     string `json:"user"`
	Password string `json:"password"`
}

// access is the permit, in memory: it may hold credentials.
func (s *Source) access(near bool) (*os.File, []string, error) {
	p := permit{Hosts: [][3]any{}, Paths: []string{}, Credentials: []credential{}}
	if s.Area != nil {
		p.Paths = append(p.Paths, realDir(s.Area.Dir))
	}
	var secrets []string
	if !near && !slices.ContainsFunc(s.Branches, func(b Branch) bool { return local(b.Access) == "" }) {
		for _, root := range s.Roots {
			p.Paths = append(p.Paths, realDir(root))
		}
	}
	for _, b := range s.Branches {
		if near {
			break
		}
		if strings.HasPrefix(b.Access.URL, "lp:") {
			p.Launchpad = true
			continue
		}
		if path := local(b.Access); path != "" {
			p.Paths = append(p.Paths, realDir(path))
			continue
		}
		u, err := url.Parse(b.Access.URL)
		if err != nil {
			return nil, nil, errors.New("the url cannot be used")
		}
		var port any
		if n, err := strconv.Atoi(u.Port()); err == nil {
			port = n
		}
		p.Hosts = append(p.Hosts, [3]any{u.Scheme, u.Hostname(), port})
		if (u.Scheme == "http" || u.Scheme == "https") && !b.Access.Secret.Empty() {
			secrets = append(secrets, b.Access.Secret.Reveal())
			user := b.Access.Username
			if user == "" {
				user = "git"
			}
			p.Credentials = append(p.Credentials, credential{u.Scheme, u.Hostname(), port, user, b.Access.Secret.Reveal()})
		}
	}
	text, err := json.Marshal(p)
	if err != nil {
		return nil, nil, err
	}
	fd, err := unix.MemfdCreate("bzr-access", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, nil, fmt.Errorf("access of brz: %w", err)
	}
	f := os.NewFile(uintptr(fd), "bzr-access")
	if _, err := f.Write(text); err != nil {
		_ = f.Close()
		return nil, nil, fmt.Errorf("access of brz: %w", err)
	}
	return f, secrets, nil
}

// local is the path of a branch on this machine, or "".
func local(a core.Access) string {
	if strings.HasPrefix(a.URL, "/") {
		return a.URL
	}
	path, ok := strings.CutPrefix(a.URL, "file://")
	if !ok {
		return ""
	}
	if plain, err := url.PathUnescape(path); err == nil {
		return plain
	}
	return path
}

func realDir(dir string) string {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	return strings.TrimRight(dir, "/") + "/"
}
