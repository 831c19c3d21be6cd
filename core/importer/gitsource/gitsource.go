// Package gitsource brings an upstream git repository into the working area:
// its branches and tags under their own names, all of them or none.
//
// It must not touch the Downstream Host, and never decides whether a rewrite
// may be pushed: the working area follows upstream, and the old tips of what
// was rewritten are kept there.
package gitsource

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
	"github.com/lorry-controller/lorry-controller/core/importer/workcopy"
)

// Source is one upstream repository and its place in the working area.
type Source struct {
	workcopy.Copy
	Access core.Access
	Reader *lsrefs.Reader
	// Limit bounds what List takes, in bytes; 0 is as lsrefs has it.
	Limit int64
}

// List reads what upstream has, and refuses what would empty the mirror.
func (s *Source) List(ctx context.Context) (lsrefs.Listing, error) {
	l, err := s.Reader.Read(ctx, s.Access, lsrefs.Options{Prefixes: s.Policy.Prefixes(), ExtraFiles: s.Repo.Files, Git: s.Repo.Git, Route: s.Route, Limit: s.Limit})
	if err != nil {
		return l, err
	}
	l = l.Select(s.Policy.Mirrors)
	if len(l.Refs) == 0 {
		return l, gitfail.New(core.FailEmpty, gitfail.Upstream, gitfail.Hint(core.FailEmpty, gitfail.Upstream),
			"upstream: the repository has no branch and no tag")
	}
	return l, nil
}

// Update makes the working area what upstream has. Without refs of upstream,
// nobody has looked yet: a first clone needs no look. The error is a
// *gitfail.Error; the refs are then what they were before.
func (s *Source) Update(ctx context.Context, upstream lsrefs.Listing) (workcopy.Result, error) {
	if err := s.Recover(ctx); err != nil {
		return workcopy.Result{}, err
	}
	if err := s.renew(); err != nil {
		return workcopy.Result{}, err
	}
	if s.Repo.Exists() {
		if len(upstream.Refs) == 0 {
			var err error
			if upstream, err = s.List(ctx); err != nil {
				return workcopy.Result{}, err
			}
		}
		other, err := s.outgrown(upstream)
		if err != nil {
			return workcopy.Result{}, err
		}
		if !other {
			res, err := s.refresh(ctx, upstream)
			if err == nil || !s.Broken(ctx, err) {
				return res, err
			}
			fmt.Fprintf(s.Out, ".. the working copy is damaged (%v): making a new one\n", err)
			s.Log.Warn("working copy is damaged", "lorry", s.Area.Name, "error", err)
		}
	}
	res, err := s.initial(ctx)
	if err == nil || gitfail.From(err, gitfail.Upstream).Place != gitfail.Upstream || ctx.Err() != nil {
		return res, err
	}
	// A look says more exactly what is wrong than git does.
	upstream, why := s.List(ctx)
	if why != nil {
		return res, why
	}
	if !careful(err) {
		return res, err
	}
	if err := s.Ensure(ctx); err != nil {
		return res, err
	}
	return s.refresh(ctx, upstream)
}

// initial makes the repository beside and renames it: a clone writes all refs
// into one file, which is many times faster than a fetch.
func (s *Source) initial(ctx context.Context) (workcopy.Result, error) {
	fmt.Fprintln(s.Out, ".. doing initial clone")
	dir, err := s.Area.Temp()
	if err != nil {
		return workcopy.Result{}, gitfail.From(err, gitfail.Local)
	}
	defer func() { _ = repo.Remove(dir) }()
	fresh := &repo.Repo{Dir: dir, Git: s.Repo.Git, Files: s.Repo.Files}
	err = s.Repo.Git.Run(ctx, childproc.GitCall{
		Args: []string{
			"clone", "--bare", "--progress", "--template=", "--no-local", "--no-hardlinks", "--", s.Access.URL, dir,
		},
		Protocols: lsrefs.Protocols(s.Access.URL), Access: &s.Access, Stderr: s.Progress, ExtraFiles: s.Repo.Files,
		Config: []childproc.Setting{{Key: "clone.rejectShallow", Value: "true"}},
	})
	if saysShallow(err) {
		return workcopy.Result{}, errShallow()
	}
	if err != nil {
		return workcopy.Result{}, gitfail.From(err, gitfail.Upstream)
	}
	if shallow(dir) {
		return workcopy.Result{}, errShallow()
	}
	refs, err := s.settle(ctx, fresh)
	if err != nil {
		return workcopy.Result{}, err
	}
	refs.Changed = len(refs.Refs.Refs)
	if err := s.Area.Install(dir); err != nil {
		return workcopy.Result{}, gitfail.From(err, gitfail.Local)
	}
	return refs, nil
}

// settle makes of a clone what a fetch would have: it holds nothing that only a
// clone takes, and what a clone does not bring.
func (s *Source) settle(ctx context.Context, fresh *repo.Repo) (workcopy.Result, error) {
	if err := fresh.ForgetRemote(); err != nil {
		return workcopy.Result{}, gitfail.From(err, gitfail.Local)
	}
	if err := dropLong(ctx, fresh); err != nil {
		return workcopy.Result{}, gitfail.From(err, gitfail.Local)
	}
	odd, err := dropOdd(ctx, fresh)
	if err != nil {
		return workcopy.Result{}, gitfail.From(err, gitfail.Local)
	}
	source := *s
	source.Repo = fresh
	if len(s.Policy.FetchRefspecs()) > 2 {
		if err := source.fetchOthers(ctx, odd); err != nil {
			return workcopy.Result{}, err
		}
	}
	refs, err := source.result(ctx, fresh.Head())
	if err != nil {
		return workcopy.Result{}, err
	}
	if refs.Left = odd.failure(); len(refs.Refs.Refs) == 0 && refs.Left != nil {
		return workcopy.Result{}, refs.Left
	}
	if len(refs.Refs.Refs) == 0 {
		return workcopy.Result{}, gitfail.New(core.FailEmpty, gitfail.Upstream, gitfail.Hint(core.FailEmpty, gitfail.Upstream),
			"upstream: the repository was empty when it was cloned")
	}
	return refs, nil
}

// dropLong removes what git keeps in its list of packed refs and cannot change
// there.
func dropLong(ctx context.Context, r *repo.Repo) error {
	refs, err := r.Refs(ctx)
	if err != nil {
		return err
	}
	var long []repo.Change
	for name, object := range refs {
		if repo.TooLong(name) {
			long = append(long, repo.Change{Ref: name, Old: object})
		}
	}
	return r.Drop(ctx, long)
}

// dropOdd removes branches that are no commit: a clone takes them, and nothing
// else does.
func dropOdd(ctx context.Context, r *repo.Repo) (sifted, error) {
	odd := sifted{lost: make(map[string]string)}
	out, err := r.Git.Output(ctx, r.Call("for-each-ref", "--format=%(if:equals=commit)%(objecttype)%(then)%(else)%(objectname) %(refname)%(end)", branches))
	if err != nil {
		return odd, fmt.Errorf("cannot look at the branches: %w", err)
	}
	var gone []repo.Change
	for line := range strings.Lines(out) {
		if object, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " "); ok {
			odd.loseBranch(name, object)
			gone = append(gone, repo.Change{Ref: name, Old: object})
		}
	}
	return odd, r.Drop(ctx, gone)
}

// fetchOthers brings what a clone does not: refs beyond branches and tags.
func (s *Source) fetchOthers(ctx context.Context, odd sifted) error {
	upstream, err := s.List(ctx) // of what the policy names, some may not be there
	if err != nil {
		return err
	}
	can := sift(upstream.Map())
	maps.Copy(can.lost, odd.lost)
	return s.fetch(ctx, upstream.Map(), repo.ManyRefs, can.excluded()...)
}

// fetch runs git fetch into the repository, all refs of a listing but those
// without, or none. About so many of them will change.
func (s *Source) fetch(ctx context.Context, listed map[string]string, changing int, without ...string) error {
	args := []string{
		"fetch", "--atomic", "--no-write-fetch-head", "--no-tags", "--no-auto-maintenance", "--no-recurse-submodules", "--progress",
	}
	if len(without) > 0 {
		args = append(args, "--stdin")
	}
	// git fetches nothing at all where a name that is no pattern is not there.
	specs := slices.DeleteFunc(s.Policy.FetchRefspecs(), func(spec string) bool {
		name, _, _ := strings.Cut(strings.TrimPrefix(spec, "+"), ":")
		return !strings.HasPrefix(spec, "^") && !strings.Contains(name, "*") && listed[name] == ""
	})
	call := s.Repo.Call(append(append(args, "--", s.Access.URL), specs...)...)
	if len(without) > 0 {
		call.Stdin = strings.NewReader("^" + strings.Join(without, "\n^") + "\n")
	}
	call.Protocols, call.Access, call.Stderr = lsrefs.Protocols(s.Access.URL), &s.Access, s.Progress
	call.DeferRefSync = changing >= repo.ManyRefs
	if err := s.Repo.Git.Run(ctx, call); err != nil {
		return gitfail.From(err, gitfail.Upstream)
	}
	if call.DeferRefSync {
		if err := repo.SyncDisk(s.Repo.Dir); err != nil {
			return gitfail.From(err, gitfail.Local)
		}
	}
	return nil
}

// result reads back what is on disk.
func (s *Source) result(ctx context.Context, head string) (workcopy.Result, error) {
	refs, err := s.Local(ctx)
	if err != nil {
		return workcopy.Result{}, gitfail.From(err, gitfail.Local)
	}
	if refs[head] == "" {
		head = ""
	}
	listing := lsrefs.FromMap(refs, head)
	return workcopy.Result{Refs: listing, Upstream: listing}, nil
}
