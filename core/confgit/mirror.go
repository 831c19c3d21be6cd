package confgit

import (
	"bufio"
	"context"
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
)

// call is a call of git that goes to the remote CONFGIT.
func (s *Source) call(dir string, args ...string) childproc.GitCall {
	login := s.login.Load()
	access := &core.Access{
		URL: s.opts.URL, Username: login.username, Secret: login.password,
		SkipCertificates: s.opts.SkipCertificates,
	}
	return childproc.GitCall{GitDir: dir, Args: args, Protocols: protocols(s.opts.URL), Access: access}
}

// protocols are what a URL needs. The URL is the admin's own setting, so paths
// are allowed.
func protocols(address string) []string {
	u, err := url.Parse(address)
	if err == nil {
		switch u.Scheme {
		case "https", "http", "git", "file":
			return []string{u.Scheme}
		case "ssh", "git+ssh", "ssh+git":
			return []string{childproc.ProtoSSH}
		}
	}
	if i := strings.IndexByte(address, ':'); i > 0 && !strings.Contains(address[:i], "/") {
		return []string{childproc.ProtoSSH} // user@host:path
	}
	return []string{childproc.ProtoFile}
}

// fetch brings the branch of CONFGIT into the mirror and gives its commit.
func (s *Source) fetch(ctx context.Context) (string, error) {
	branch, commit, err := s.remote(ctx)
	if err != nil {
		return "", err
	}
	tree := gitTree{git: s.opts.Git, dir: s.opts.Mirror, commit: commit}
	if tree.there(ctx) {
		return commit, nil
	}
	err = s.fetchBranch(ctx, branch)
	if err != nil && ctx.Err() == nil {
		// The mirror is a copy: one that is broken or locked by a fetch that
		// was killed is made anew.
		s.log.Warn("making the mirror of CONFGIT anew", "mirror", s.opts.Mirror, "err", err)
		if err = removeMirror(s.opts.Mirror); err == nil {
			err = s.fetchBranch(ctx, branch)
		}
	}
	if err != nil {
		return "", s.unavailable("can't be fetched", err)
	}
	text, err := s.opts.Git.Output(ctx, childproc.GitCall{GitDir: s.opts.Mirror, Args: []string{"rev-parse", "--verify", "refs/heads/" + branch + "^{commit}"}})
	if err != nil {
		return "", s.unavailable("can't be fetched", err)
	}
	return strings.TrimSpace(text), nil
}

func (s *Source) unavailable(what string, err error) error {
	return &core.Error{
		Kind: core.KindUnavailable, Err: err,
		Fact: fmt.Sprintf("CONFGIT at %q %s: %s", s.opts.URL, what, reason(err)),
	}
}

// reason picks the line in which git says what is wrong; what it says last is
// advice that fits everything.
func reason(err error) string {
	var exit *childproc.ExitError
	if !errors.As(err, &exit) || exit.Err != nil {
		return err.Error()
	}
	said, _, _ := strings.Cut(exit.Stderr, "Please make sure you have the correct access rights")
	found := ""
	for line := range strings.Lines(said) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "fatal: ")
		if line != "" && (found == "" || line != "Could not read from remote repository.") {
			found = line
		}
	}
	if found == "" {
		return err.Error()
	}
	return found
}

// remote asks for the branch to use and its commit.
func (s *Source) remote(ctx context.Context) (branch, commit string, err error) {
	text, err := s.opts.Git.Output(ctx, s.call("", "ls-remote", "--symref", "--", s.opts.URL, "HEAD", "refs/heads/*"))
	if err != nil {
		return "", "", s.unavailable("can't be read", err)
	}
	heads, names := map[string]string{}, []string{}
	branch = s.opts.Branch
	for line := range strings.Lines(text) {
		first, ref, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if target, symbolic := strings.CutPrefix(first, "ref: "); symbolic {
			if branch == "" && ref == "HEAD" {
				branch = strings.TrimPrefix(target, "refs/heads/")
			}
			continue
		}
		if name, isHead := strings.CutPrefix(ref, "refs/heads/"); isHead {
			heads[name] = first
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "", "", core.Errorf(core.KindUnavailable, "CONFGIT at %q is empty: push a branch with %s to it", s.opts.URL, ConfFile)
	}
	if branch == "" && len(names) == 1 {
		branch = names[0]
	}
	if commit = heads[branch]; commit != "" {
		return branch, commit, nil
	}
	const most = 10
	if len(names) > most {
		names = append(names[:most], "…")
	}
	if branch == "" {
		return "", "", core.Errorf(core.KindNotFound, "the HEAD of CONFGIT at %q names no branch; set confgit-branch to one of %s", s.opts.URL, strings.Join(names, ", "))
	}
	return "", "", core.Errorf(core.KindNotFound, "CONFGIT at %q has no branch %q; set confgit-branch to one of %s", s.opts.URL, branch, strings.Join(names, ", "))
}

func (s *Source) fetchBranch(ctx context.Context, branch string) error {
	dir := s.opts.Mirror
	if _, err := os.Stat(filepath.Join(dir, "HEAD")); err != nil {
		if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
			return err
		}
		if err := s.opts.Git.Run(ctx, childproc.GitCall{Args: []string{"init", "--quiet", "--bare", "--", absolutePath(dir)}}); err != nil {
			return err
		}
	}
	ref := "refs/heads/" + branch
	return s.opts.Git.Run(ctx, s.call(absolutePath(dir), "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance",
		"--", s.opts.URL, "+"+ref+":"+ref))
}

// removeMirror removes the mirror if it looks like one; somebody else's files
// are never removed.
func removeMirror(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		return nil
	}
	if _, err := os.Stat(filepath.Join(dir, "objects")); err != nil {
		return fmt.Errorf("%q is no mirror of CONFGIT: move it away, or choose another data directory", dir)
	}
	return os.RemoveAll(dir)
}

func absolutePath(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}

// gitTree is a Tree that is a commit of the mirror. Files are read from git's
// objects, so that no symbolic link of CONFGIT leads out of it.
type gitTree struct {
	git    *childproc.Git
	dir    string
	commit string
}

func (t gitTree) run(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	return t.git.Output(ctx, childproc.GitCall{GitDir: absolutePath(t.dir), Args: args, Stdin: stdin})
}

// there reports whether the commit and all that it needs is in the mirror.
func (t gitTree) there(ctx context.Context) bool {
	if _, err := os.Stat(filepath.Join(t.dir, "HEAD")); err != nil {
		return false
	}
	_, err := t.run(ctx, nil, "cat-file", "-e", t.commit+"^{tree}")
	return err == nil
}

// aLink is the size of a link among the sizes of files.
const aLink = -1

// entries gives all files and links, and the sizes of the former.
func (t gitTree) entries(ctx context.Context) (paths []string, sizes map[string]int64, err error) {
	text, err := t.run(ctx, nil, "ls-tree", "-r", "-l", "-z", "--full-tree", t.commit)
	if err != nil {
		return nil, nil, unreadable(err)
	}
	sizes = map[string]int64{}
	for entry := range strings.SplitSeq(text, "\x00") {
		facts, path, found := strings.Cut(entry, "\t")
		file, link := strings.HasPrefix(facts, "100"), strings.HasPrefix(facts, "120")
		if !found || !file && !link {
			continue
		}
		paths = append(paths, path)
		sizes[path] = aLink
		if file {
			words := strings.Fields(facts) // MODE blob OBJECT SIZE
			if sizes[path], err = strconv.ParseInt(words[len(words)-1], 10, 64); err != nil || sizes[path] < 0 {
				return nil, nil, unreadable(fmt.Errorf("the size of %q is not known", path))
			}
		}
	}
	return paths, sizes, nil
}

// errUnreadable is found in the error of a mirror that is broken.
var errUnreadable = errors.New("the mirror of CONFGIT can't be read")

func unreadable(err error) error {
	return core.Errorf(core.KindInternal, "%w: %s", errUnreadable, reason(err))
}

// List implements Tree.
func (t gitTree) List(ctx context.Context) ([]string, error) {
	paths, _, err := t.entries(ctx)
	return paths, err
}

// atOnce is how many bytes of files one call of git gives.
const atOnce = 8 << 20

// Read implements Tree. A file that is too large is not read.
func (t gitTree) Read(ctx context.Context, paths []string, most int, see func(path string, data []byte)) error {
	_, sizes, err := t.entries(ctx)
	if err != nil {
		return err
	}
	tooLarge := func(path string) bool { return sizes[path] > int64(most) }
	var junk []byte // in the place of each that is
	for len(paths) > 0 {
		var asked []string
		var much int64
		n := 0
		for ; n < len(paths); n++ {
			size, there := sizes[paths[n]]
			if !there || tooLarge(paths[n]) || strings.Contains(paths[n], "\n") {
				continue // git could not be asked for the last by line
			}
			if much += max(size, 0); much > atOnce && len(asked) > 0 {
				break
			}
			asked = append(asked, paths[n])
		}
		contents, err := t.readSome(ctx, asked, sizes)
		if err != nil {
			return err
		}
		for _, path := range paths[:n] {
			if junk == nil && tooLarge(path) {
				junk = make([]byte, most+1)
			}
			if tooLarge(path) {
				contents[path] = junk
			}
			see(path, contents[path])
			delete(contents, path)
		}
		paths = paths[n:]
	}
	return nil
}

// readSome gives the contents of some files.
func (t gitTree) readSome(ctx context.Context, asked []string, sizes map[string]int64) (map[string][]byte, error) {
	if len(asked) == 0 {
		return map[string][]byte{}, nil
	}
	var stdin strings.Builder
	for _, path := range asked {
		fmt.Fprintf(&stdin, "%s:%s\n", t.commit, path)
	}
	text, err := t.run(ctx, strings.NewReader(stdin.String()), "cat-file", "--batch", "--follow-symlinks")
	if err != nil {
		return nil, unreadable(err)
	}
	got, err := readBatch(text, asked)
	if err != nil {
		return nil, unreadable(err)
	}
	for _, path := range asked {
		// An object that got lost must not look like a file that was removed.
		if _, there := got[path]; !there && sizes[path] != aLink {
			return nil, unreadable(fmt.Errorf("the content of %q is lost", path))
		}
	}
	return got, nil
}

// readBatch takes the answer of git cat-file --batch apart.
func readBatch(text string, asked []string) (map[string][]byte, error) {
	contents := make(map[string][]byte, len(asked))
	in := bufio.NewReader(strings.NewReader(text))
	for _, path := range asked {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("git cat-file said too little: %w", err)
		}
		if strings.HasSuffix(line, " missing\n") {
			continue
		}
		// OBJECT TYPE SIZE or, for a link that leads nowhere or out, WHY SIZE.
		words := strings.Fields(line)
		if len(words) != 2 && len(words) != 3 {
			return nil, fmt.Errorf("git cat-file said %q", line)
		}
		size, err := strconv.Atoi(words[len(words)-1])
		if err != nil || size < 0 {
			return nil, fmt.Errorf("git cat-file said %q", line)
		}
		data := make([]byte, size+1)
		if _, err := io.ReadFull(in, data); err != nil {
			return nil, errors.New("git cat-file said too little")
		}
		if len(words) == 3 && words[1] == "blob" {
			contents[path] = data[:size]
		}
	}
	return contents, nil
}
