package lfs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/pace"
	"github.com/lorry-controller/lorry-controller/core/importer/route"
)

// Side is one of the two repositories.
type Side struct {
	Access core.Access
	// Path is its directory when it is on this machine, or "".
	Path  string
	Place gitfail.Place
	// Route is how its hosts are reached.
	Route route.Route
	// Git makes the command for ssh; nil means that of the repository.
	Git *childproc.Git
}

// The operations of the batch API.
const (
	opDownload = "download"
	opUpload   = "upload"
)

// api gives the batch API of a side that is not on this machine. Over ssh the
// server says where it is and gives a token for it.
func (s *Sync) api(ctx context.Context, side Side, operation string) (*api, error) {
	base, host, ssh, err := discover(side.Access.URL)
	if err != nil {
		return nil, fault(side.Place, core.FailLFS, hintMode, "no address of a git-lfs server comes from the url")
	}
	a := newAPI(side, operation, host)
	a.retry, a.least = s.Retry, pace.Of(s.Repo.Git)
	if ssh == nil {
		if own, err := s.elsewhere(ctx, side); err != nil {
			return nil, err
		} else if own != "" {
			// What the repository's own file names is another host: it gets no
			// credential of this one.
			base = own
		}
		return a, a.at(base, nil)
	}
	told, err := s.authenticate(ctx, side, *ssh, operation)
	if err != nil {
		return nil, err
	}
	if told.Href == "" {
		told.Href = base
	}
	return a, a.at(told.Href, told.Header)
}

// sshTarget is where ssh goes.
type sshTarget struct{ host, port, path string }

// discover gives the address of the batch API that belongs to a repository, by
// git-lfs's rule: its URL and ".git/info/lfs".
// https://github.com/git-lfs/git-lfs/blob/main/docs/api/server-discovery.md
func discover(address string) (base, host string, ssh *sshTarget, err error) {
	if !strings.Contains(address, "://") {
		login, path, ok := strings.Cut(address, ":")
		if !ok {
			return "", "", nil, errors.New("no URL")
		}
		host = login[strings.LastIndexByte(login, '@')+1:]
		return "https://" + host + "/" + strings.TrimPrefix(withGit(path), "/") + "/info/lfs", host, &sshTarget{host: login, path: path}, nil
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", "", nil, err
	}
	host = u.Hostname()
	switch u.Scheme {
	case "https", "http":
		u.Path, u.RawPath, u.RawQuery, u.Fragment = withGit(u.Path)+"/info/lfs", "", "", ""
		return u.String(), host, nil, nil
	case "git":
		return "https://" + host + withGit(u.Path) + "/info/lfs", host, nil, nil
	case "ssh":
		t := &sshTarget{host: u.Hostname(), port: u.Port(), path: u.Path}
		if u.User != nil {
			t.host = u.User.Username() + "@" + t.host
		}
		return "https://" + host + withGit(u.Path) + "/info/lfs", host, t, nil
	}
	return "", "", nil, fmt.Errorf("the scheme %q has no batch API", u.Scheme)
}

func withGit(path string) string {
	path = strings.TrimRight(path, "/")
	if strings.HasSuffix(path, ".git") {
		return path
	}
	return path + ".git"
}

// elsewhere is the address that the repository's own .lfsconfig names, or "".
// Only upstream's may: where to push is not for what was fetched to say.
func (s *Sync) elsewhere(ctx context.Context, side Side) (string, error) {
	if side.Place != gitfail.Upstream {
		return "", nil
	}
	text, err := s.Repo.Git.Output(ctx, s.Repo.Call("config", "--blob", "HEAD:.lfsconfig", "--no-includes", "--get", "lfs.url"))
	if err != nil {
		return "", ctx.Err() // no file, or nothing in it
	}
	address := strings.TrimSpace(text)
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return "", nil
	}
	u.User = nil
	return strings.TrimRight(u.String(), "/"), nil
}

// authentication is the answer of git-lfs-authenticate.
type authentication struct {
	Href   string            `json:"href"`
	Header map[string]string `json:"header"`
}

// authenticate asks over ssh where the batch API is. A server that does not
// know the command is asked over https.
// https://github.com/git-lfs/git-lfs/blob/main/docs/api/authentication.md
func (s *Sync) authenticate(ctx context.Context, side Side, t sshTarget, operation string) (authentication, error) {
	var told authentication
	git := side.Git
	if git == nil {
		git = s.Repo.Git
	}
	ssh, cleanup, err := git.SSHCommand(&side.Access)
	if err != nil {
		return told, gitfail.From(err, gitfail.Local)
	}
	defer cleanup()
	args := []string{"-c", ssh + ` "$@"`, "ssh"}
	if t.port != "" {
		args = append(args, "-p", t.port)
	}
	args = append(args, "--", t.host, "git-lfs-authenticate "+shellQuote(t.path)+" "+operation)
	var out bytes.Buffer
	err = childproc.Run(ctx, childproc.Spec{Name: "sh", Args: args, Env: git.ToolEnv(), ExtraFiles: s.Repo.Files, Stdout: &out})
	var exit *childproc.ExitError
	if errors.As(err, &exit) && exit.Err == nil && exit.Code > 0 && exit.Code != 255 {
		return authentication{}, nil
	}
	if err != nil {
		return told, gitfail.From(err, side.Place)
	}
	if json.Unmarshal(out.Bytes(), &told) != nil {
		return told, fault(side.Place, core.FailLFS, hintMode, "git-lfs-authenticate gave no JSON")
	}
	return told, nil
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// localStores are the stores of a repository on this machine.
func localStores(path string) []Store {
	if _, err := os.Stat(filepath.Join(path, ".git")); err == nil {
		return []Store{OpenStore(filepath.Join(path, ".git"))}
	}
	return []Store{OpenStore(path)}
}
