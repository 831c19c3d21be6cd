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
	"maps"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
	[ -f rules ] || return 1
	case "$3" in
	*[!0]*) what=force ;;
	*) what=delete ;;
	esac
	case "$2" in
	*[!0]*) ;;
	*) return 1 ;; # a new ref
	esac
	[ $what = delete ] || ! git merge-base --is-ancestor "$2" "$3" || return 1
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

// Create makes a repository whose HEAD names a branch, as git init does, but
// without a process.
func (s *Store) Create(id int64, head string) error {
	name, text := "update", updateHook
	if s.whole {
		name, text = "pre-receive", preReceiveHook
	}
	dir := s.path(id)
	var errs []error
	for _, sub := range []string{"objects/info", "objects/pack", "refs/heads", "refs/tags", "hooks"} {
		errs = append(errs, os.MkdirAll(filepath.Join(dir, sub), 0o755))
	}
	return errors.Join(append(errs,
		os.WriteFile(filepath.Join(dir, "config"), []byte("[core]\n\trepositoryformatversion = 0\n\tbare = true\n"), 0o600),
		os.WriteFile(filepath.Join(dir, "hooks", name), []byte(text), 0o755), //nolint:gosec // a hook is run
		s.SetHead(id, head))...)
}

// Plant gives a new repository refs whose objects are in another one, which
// must stay: as if they had been pushed.
func (s *Store) Plant(id int64, objects string, refs map[string]string) error {
	var b strings.Builder
	b.WriteString("# pack-refs with: peeled fully-peeled sorted \n")
	for _, ref := range slices.Sorted(maps.Keys(refs)) {
		b.WriteString(refs[ref] + " " + ref + "\n")
	}
	dir := s.path(id)
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "objects", "info", "alternates"), []byte(objects+"\n"), 0o600),
		os.WriteFile(filepath.Join(dir, "packed-refs"), []byte(b.String()), 0o600))
}

// SetHead makes HEAD name a branch. Whoever reads meanwhile sees the old one or
// the new one.
func (s *Store) SetHead(id int64, branch string) error {
	head := filepath.Join(s.path(id), "HEAD")
	aside := head + ".lock"
	return errors.Join(os.WriteFile(aside, []byte("ref: refs/heads/"+branch+"\n"), 0o600), os.Rename(aside, head))
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

// Dir is the directory of a repository, for who reaches it by ssh.
func (s *Store) Dir(id int64) string { return s.path(id) }

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
