// Package gitserver puts real git behind a fake forge: bare repositories by
// number, served by git's own http-backend, with hooks that refuse what the
// forge would refuse.
//
// It is for tests alone. It knows no forge: which repository a path is, who may
// do what, and the words of refusals are the forge's.
package gitserver

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// Store is the repositories of one forge.
type Store struct {
	dir, backend string
	whole        bool // one refused ref refuses the push
}

// New keeps repositories below an empty directory. With whole, one ref that is
// refused refuses all of a push, as a pre-receive hook does; else the others
// arrive, as with an update hook.
func New(dir string, whole bool) (*Store, error) {
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		return nil, fmt.Errorf("git is needed: %w", err)
	}
	return &Store{dir: dir, backend: filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"), whole: whole}, nil
}

// environment is that of every git: nothing of the user's.
func environment() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
	}
}

func (s *Store) path(id int64) string { return filepath.Join(s.dir, strconv.FormatInt(id, 10)+".git") }

func (s *Store) git(id int64, args ...string) (string, error) {
	cmd := exec.Command("git", append([]string{"--git-dir=" + s.path(id)}, args...)...)
	cmd.Env = environment()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// The hook reads the lines "delete REF WORDS" and "force REF WORDS" of rules.
const hook = `#!/bin/sh
refuses() {
	zero=$(printf %s "$2" | tr 0-9a-f 0)
	what=
	[ "$3" = "$zero" ] && what=delete
	[ -z "$what" ] && [ "$2" != "$zero" ] && ! git merge-base --is-ancestor "$2" "$3" && what=force
	[ -n "$what" ] && [ -f rules ] || return 1
	while read -r rule ref words; do
		[ "$rule $ref" = "$what $1" ] && { echo "$words" >&2; return 0; }
	done <rules
	return 1
}
`

const (
	updateHook     = hook + "refuses \"$1\" \"$2\" \"$3\" && exit 1\nexit 0\n"
	preReceiveHook = hook + "bad=0\nwhile read -r old new ref; do refuses \"$ref\" \"$old\" \"$new\" && bad=1; done\nexit $bad\n"
)

// Create makes a repository whose HEAD names a branch.
func (s *Store) Create(id int64, head string) error {
	if _, err := s.git(id, "init", "-q", "--bare", "--template=", "-b", head, s.path(id)); err != nil {
		return err
	}
	name, text := "update", updateHook
	if s.whole {
		name, text = "pre-receive", preReceiveHook
	}
	hooks := filepath.Join(s.path(id), "hooks")
	return errors.Join(os.MkdirAll(hooks, 0o755), os.WriteFile(filepath.Join(hooks, name), []byte(text), 0o755)) //nolint:gosec // a hook is run
}

// SetHead makes HEAD name a branch.
func (s *Store) SetHead(id int64, branch string) error {
	_, err := s.git(id, "symbolic-ref", "HEAD", "refs/heads/"+branch)
	return err
}

// Rule is something that a push may not do to a branch.
type Rule struct {
	Force  bool // rewriting it; else deleting it
	Branch string
	Words  string
}

// SetRules replaces the rules of a repository.
func (s *Store) SetRules(id int64, rules []Rule) error {
	var b strings.Builder
	for _, r := range rules {
		what := "delete"
		if r.Force {
			what = "force"
		}
		fmt.Fprintf(&b, "%s refs/heads/%s %s\n", what, r.Branch, r.Words)
	}
	return os.WriteFile(filepath.Join(s.path(id), "rules"), []byte(b.String()), 0o600)
}

// Branches gives the branches of a repository.
func (s *Store) Branches(id int64) ([]string, error) {
	out, err := s.git(id, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads")
	return strings.Fields(out), err
}

// Request is a request of git: what it wants of which repository.
type Request struct {
	Path string // as in the URL, without ".git"
	rest string
	// Push says that it is for a push; Done that the push itself comes now.
	Push, Done bool
}

// Parse takes a request of git apart; false is another request.
func Parse(r *http.Request) (Request, bool) {
	for _, rest := range []string{"/info/refs", "/git-upload-pack", "/git-receive-pack"} {
		path, ok := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/"), rest)
		if !ok {
			continue
		}
		done := rest == "/git-receive-pack"
		return Request{
			Path: strings.TrimSuffix(path, ".git"), rest: rest, Done: done,
			Push: done || r.URL.Query().Get("service") == "git-receive-pack",
		}, true
	}
	return Request{}, false
}

// Serve answers a request of git that is allowed.
func (s *Store) Serve(w http.ResponseWriter, r *http.Request, id int64, req Request) {
	if r.ContentLength < 0 { // CGI knows no chunks
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client has gone
		}
		r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	}
	u := *r.URL
	u.Path, u.RawPath = "/"+strconv.FormatInt(id, 10)+".git"+req.rest, ""
	r.URL = &u
	env := append(environment(), "GIT_PROJECT_ROOT="+s.dir, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=somebody")
	(&cgi.Handler{Path: s.backend, Dir: s.dir, Env: env, Stderr: io.Discard}).ServeHTTP(w, r)
}
