// Package hgsource brings a Mercurial repository into the working area: hg
// keeps a clone of it there, from which an extension of ours writes what is new
// for git fast-import. Branch default becomes master; branches and tags keep
// their names, as far as git can hold them.
//
// It must not touch the Downstream Host. Branches and tags change all at once,
// when everything is there.
package hgsource

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/fastimport"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
	"github.com/lorry-controller/lorry-controller/core/importer/workcopy"
)

// Source is one Mercurial repository and its place in the working area.
type Source struct {
	workcopy.Copy
	Access core.Access
	// Bookmarks makes branches of bookmarks.
	Bookmarks bool
}

const (
	master = "refs/heads/master"
	// cloneName is the directory of the clone, beside the repository.
	cloneName = "hg"
	// mapName is a file in the repository: each changeset and its commit.
	mapName = "lorry-hg-map"
)

// List asks for the heads of all branches.
func (s *Source) List(ctx context.Context) (lsrefs.Listing, error) {
	refs, marks, err := s.heads(ctx)
	if err != nil {
		return lsrefs.Listing{}, failure(err)
	}
	for name, node := range marks {
		refs[name] += " " + node
	}
	if len(refs) == 0 {
		return lsrefs.Listing{}, empty()
	}
	head := ""
	if refs[master] != "" {
		head = master
	}
	return lsrefs.FromMap(refs, head), nil
}

// heads asks for the heads of the branches, and for the bookmarks where they
// are wanted.
func (s *Source) heads(ctx context.Context) (refs, marks map[string]string, err error) {
	args := []string{"--", s.Access.URL}
	if s.Bookmarks {
		args = append([]string{"--marks"}, args...)
	}
	out, err := s.hg(ctx, nil, "lorry-heads", s.insecure(args...)...)
	refs, marks = make(map[string]string), make(map[string]string)
	for line := range strings.Lines(out) {
		words := strings.Split(strings.TrimSuffix(line, "\n"), " ") // names may hold other blanks
		switch {
		case len(words) == 3 && words[0] == "bookmark":
			marks[words[1]] = words[2]
		case len(words) == 2:
			refs[words[0]] += words[1]
		}
	}
	return refs, marks, err
}

// mark adds the bookmarks to what the refs shall be. A branch's name goes
// before a bookmark's.
func (s *Source) mark(ctx context.Context, wanted, known map[string]string) error {
	if !s.Bookmarks {
		return nil
	}
	_, marks, err := s.heads(ctx)
	if err != nil {
		return failure(err)
	}
	for name, node := range marks {
		switch object := known[node]; {
		case object == "": // it came after the pull; the next job brings it
		case taken(wanted, name) && wanted[name] != object:
			fmt.Fprintf(s.Out, ".. warning: the bookmark %s is left out: a branch has its name\n", strings.TrimPrefix(name, "refs/heads/"))
		default:
			wanted[name] = object
		}
	}
	return nil
}

// taken reports whether a ref has a name, or one above or below it: git has
// no a/b beside a.
func taken(refs map[string]string, name string) bool {
	for ref := range refs {
		if ref == name || strings.HasPrefix(ref, name+"/") || strings.HasPrefix(name, ref+"/") {
			return true
		}
	}
	return false
}

func empty() error {
	return gitfail.New(core.FailEmpty, gitfail.Upstream, gitfail.Hint(core.FailEmpty, gitfail.Upstream), "upstream: the repository has no changeset")
}

// Update pulls and exports what is new. The error is a *gitfail.Error; the refs
// are then what they were before.
func (s *Source) Update(ctx context.Context, upstream lsrefs.Listing) (workcopy.Result, error) {
	return s.Run(ctx, func(ctx context.Context) (workcopy.Result, error) {
		res, err := s.update(ctx, upstream)
		// The heads were listed before the pull, which brought at least these.
		res.Upstream = upstream
		return res, err
	})
}

func (s *Source) update(ctx context.Context, upstream lsrefs.Listing) (workcopy.Result, error) {
	known, err := s.known(ctx)
	if err != nil {
		return workcopy.Result{}, gitfail.From(err, gitfail.Local)
	}
	dir, err := s.Area.Temp()
	if err != nil {
		return workcopy.Result{}, gitfail.From(err, gitfail.Local)
	}
	defer func() { _ = repo.Remove(dir) }()
	if err := s.pull(ctx, dir, upstream); err != nil {
		return workcopy.Result{}, err
	}
	wanted, err := s.export(ctx, dir, known, upstream)
	if err == nil {
		err = s.mark(ctx, wanted, known)
	}
	if err != nil {
		return workcopy.Result{}, err
	}
	res, err := s.Put(ctx, wanted, master)
	if err == nil {
		err = fastimport.Clear(ctx, s.Repo)
	}
	if err != nil {
		return workcopy.Result{}, gitfail.From(err, gitfail.Local)
	}
	return res, nil
}

// known reads which changesets have a commit here. A map that does not fit the
// repository counts as none: the same changesets give the same commits again.
func (s *Source) known(ctx context.Context) (map[string]string, error) {
	known := make(map[string]string)
	f, err := os.Open(filepath.Join(s.Repo.Dir, mapName))
	if os.IsNotExist(err) {
		return known, nil
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var objects strings.Builder
	for in := bufio.NewScanner(f); in.Scan(); {
		if node, object, ok := strings.Cut(in.Text(), " "); ok && len(node) == 40 && len(object) >= 40 {
			known[node] = object
			objects.WriteString(object + "\n")
		}
	}
	call := s.Repo.Call("cat-file", "--batch-check=%(objecttype)", "--buffer")
	call.Stdin = strings.NewReader(objects.String())
	out, err := s.Repo.Git.Output(ctx, call)
	if err != nil || strings.Count(out, "commit\n") != strings.Count(objects.String(), "\n") {
		s.Log.Warn("the map of changesets does not fit the repository", "lorry", s.Area.Name)
		return make(map[string]string), ctx.Err()
	}
	return known, nil
}

// export makes commits of the changesets that have none, and gives what the
// refs shall be where upstream listed these heads.
func (s *Source) export(ctx context.Context, dir string, known map[string]string, upstream lsrefs.Listing) (map[string]string, error) {
	have, heads, result, marks := filepath.Join(dir, "known"), filepath.Join(dir, "heads"), filepath.Join(dir, "result"), filepath.Join(dir, "marks")
	err := writeMap(have, known)
	if err == nil {
		err = os.WriteFile(heads, []byte(strings.Join(branchHeads(upstream), "\n")), 0o644)
	}
	if err != nil {
		return nil, gitfail.From(err, gitfail.Local)
	}
	fmt.Fprintln(s.Out, ".. converting changesets")
	stream := fastimport.Start(ctx, s.Repo, marks)
	defer stream.Abort()
	_, err = s.hg(ctx, stream, "lorry-export", "-R", s.Area.Path(cloneName), "--", have, heads, result)
	if err != nil {
		return nil, gitfail.From(stream.Err(err), gitfail.Local)
	}
	if err := stream.Finish(); err != nil {
		return nil, gitfail.From(err, gitfail.Local)
	}
	wanted, err := readResult(result, marks, known)
	if err != nil {
		return nil, gitfail.From(err, gitfail.Local)
	}
	if len(wanted) == 0 {
		return nil, empty()
	}
	path := filepath.Join(s.Repo.Dir, mapName)
	err = writeMap(path+".lock", known)
	if err == nil {
		err = os.Rename(path+".lock", path)
	}
	if err != nil {
		return nil, gitfail.From(err, gitfail.Local)
	}
	return wanted, nil
}

func writeMap(path string, known map[string]string) error {
	var b strings.Builder
	for node, object := range known {
		b.WriteString(node + " " + object + "\n")
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

// readResult adds the new commits to known, and gives the refs.
func readResult(result, marks string, known map[string]string) (map[string]string, error) {
	text, err := os.ReadFile(marks)
	if err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	made := make(map[string]string)
	for line := range strings.Lines(string(text)) {
		if mark, object, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			made[strings.TrimPrefix(mark, ":")] = object
		}
	}
	if text, err = os.ReadFile(result); err != nil {
		return nil, err
	}
	wanted, ended := make(map[string]string), false
	for line := range strings.Lines(string(text)) {
		words := strings.Split(strings.TrimSuffix(line, "\n"), " ")
		ended = ended || len(words) == 1 && words[0] == "end"
		if len(words) != 3 {
			continue
		}
		kind, name, node := words[0], words[1], words[2]
		if kind == "commit" {
			if known[node] = made[name]; made[name] == "" {
				return nil, fmt.Errorf("the changeset %s became no commit", node)
			}
			continue
		}
		if known[node] == "" {
			return nil, fmt.Errorf("%s names the changeset %s, which became no commit", name, node)
		}
		wanted[name] = known[node]
	}
	if !ended {
		return nil, fmt.Errorf("the list of changesets is not whole")
	}
	return wanted, nil
}
