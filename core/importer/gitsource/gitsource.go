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
	"io"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/area"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/importer/policy"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
)

// Source is one upstream repository and its place in the working area.
type Source struct {
	Area   *area.Area
	Repo   *repo.Repo
	Policy policy.Policy
	Access core.Access
	Reader *lsrefs.Reader
	Clock  core.Clock
	Log    hclog.Logger
	// Out gets lines for people, Progress the progress of git.
	Out, Progress io.Writer
	// KeepOld keeps every broken copy, not the last one alone.
	KeepOld bool
}

// Result is what the working area holds after an update.
type Result struct {
	// Refs are the mirrored refs with HEAD, as they now are on disk.
	Refs lsrefs.Listing
	// Changed counts the refs that changed.
	Changed int
}

// List reads what upstream has, and refuses what would empty the mirror.
func (s *Source) List(ctx context.Context) (lsrefs.Listing, error) {
	l, err := s.Reader.Read(ctx, s.Access, lsrefs.Options{Prefixes: s.Policy.Prefixes(), ExtraFiles: s.Repo.Files})
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

// Update makes the working area what upstream has. The error is a
// *gitfail.Error; the refs are then what they were before.
func (s *Source) Update(ctx context.Context, upstream lsrefs.Listing) (Result, error) {
	if err := s.recover(ctx); err != nil {
		return Result{}, err
	}
	if s.Repo.Exists() {
		res, err := s.refresh(ctx, upstream)
		if err == nil || !s.broken(ctx, err) {
			return res, err
		}
		fmt.Fprintf(s.Out, ".. the working copy is damaged (%v): making a new one\n", err)
		s.Log.Warn("working copy is damaged", "lorry", s.Area.Name, "error", err)
	}
	return s.initial(ctx)
}

// recover undoes a run that died: its locks, its temporary files, its half
// of a change.
func (s *Source) recover(ctx context.Context) error {
	if err := s.Area.Sweep(); err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	removed, err := repo.Sweep(s.Repo.Dir)
	if err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	if removed > 0 {
		s.Log.Info("removed what a dead run left", "lorry", s.Area.Name, "files", removed)
	}
	before, unfinished, err := s.Area.Unfinished()
	if err != nil {
		// A record that cannot be read says nothing: the fetch compares anyway.
		s.Log.Warn("cannot read the record of refs", "lorry", s.Area.Name, "error", err)
	}
	if unfinished && s.Repo.Exists() {
		if err := s.restore(ctx, before); err != nil {
			s.Log.Warn("cannot undo a dead run", "lorry", s.Area.Name, "error", err)
			return nil // refresh finds out whether the repository is usable
		}
	}
	if err := s.Area.Commit(); err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	return nil
}

func (s *Source) restore(ctx context.Context, before area.State) error {
	if err := s.Repo.Restore(ctx, before.Refs, prefixes(s.Policy)...); err != nil {
		return err
	}
	if before.Head == "" {
		return nil
	}
	return s.Repo.SetHead(ctx, before.Head)
}

// prefixes are what for-each-ref takes: whole parts of names.
func prefixes(p policy.Policy) []string {
	var list []string
	for _, prefix := range p.Prefixes() {
		i := strings.LastIndexByte(prefix, '/')
		list = append(list, prefix[:i+1])
	}
	return list
}

// local reads the mirrored refs from disk.
func (s *Source) local(ctx context.Context) (map[string]string, error) {
	refs, err := s.Repo.Refs(ctx, prefixes(s.Policy)...)
	if err != nil {
		return nil, err
	}
	for name := range refs {
		if !s.Policy.Mirrors(name) {
			delete(refs, name)
		}
	}
	return refs, nil
}

// broken finds out whether a failure came from a damaged working copy, and
// moves that out of the way.
func (s *Source) broken(ctx context.Context, err error) bool {
	e := gitfail.From(err, gitfail.Local)
	switch e.Kind {
	case core.FailCorrupt, core.FailOther, core.FailGone:
	default:
		return false
	}
	if ctx.Err() != nil {
		return false
	}
	if s.Repo.Check(ctx, false) == nil || ctx.Err() != nil {
		return false
	}
	if aside := s.Area.SetAside(s.KeepOld); aside != nil {
		s.Log.Error("cannot move a damaged copy away", "lorry", s.Area.Name, "error", aside)
		return false
	}
	return true
}

// initial makes the repository beside and renames it: a clone writes all refs
// into one file, which is many times faster than a fetch.
func (s *Source) initial(ctx context.Context) (Result, error) {
	fmt.Fprintln(s.Out, ".. doing initial clone")
	dir, err := s.Area.Temp()
	if err != nil {
		return Result{}, gitfail.From(err, gitfail.Local)
	}
	defer func() { _ = repo.Remove(dir) }()
	fresh := &repo.Repo{Dir: dir, Git: s.Repo.Git, Files: s.Repo.Files}
	err = s.Repo.Git.Run(ctx, childproc.GitCall{
		Args: []string{
			"clone", "--bare", "--progress", "--template=", "--no-local", "--no-hardlinks", "--", s.Access.URL, dir,
		},
		Protocols: lsrefs.Protocols(s.Access.URL), Access: &s.Access, Stderr: s.Progress, ExtraFiles: s.Repo.Files,
	})
	if err != nil {
		return Result{}, gitfail.From(err, gitfail.Upstream)
	}
	if err := fresh.ForgetRemote(); err != nil {
		return Result{}, gitfail.From(err, gitfail.Local)
	}
	source := *s
	source.Repo = fresh
	if len(s.Policy.FetchRefspecs()) > 2 {
		if err := source.fetch(ctx, repo.ManyRefs); err != nil {
			return Result{}, err
		}
	}
	refs, err := source.result(ctx, fresh.Head())
	if err != nil {
		return Result{}, err
	}
	if len(refs.Refs.Refs) == 0 {
		return Result{}, gitfail.New(core.FailEmpty, gitfail.Upstream, gitfail.Hint(core.FailEmpty, gitfail.Upstream),
			"upstream: the repository was empty when it was cloned")
	}
	refs.Changed = len(refs.Refs.Refs)
	if err := s.Area.Install(dir); err != nil {
		return Result{}, gitfail.From(err, gitfail.Local)
	}
	return refs, nil
}

// fetch runs git fetch into the repository, all refs or none. About so many of
// them will change.
func (s *Source) fetch(ctx context.Context, changing int) error {
	args := []string{
		"fetch", "--atomic", "--no-write-fetch-head", "--no-tags", "--no-auto-maintenance", "--no-recurse-submodules", "--progress", "--", s.Access.URL,
	}
	call := s.Repo.Call(append(args, s.Policy.FetchRefspecs()...)...)
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
func (s *Source) result(ctx context.Context, head string) (Result, error) {
	refs, err := s.local(ctx)
	if err != nil {
		return Result{}, gitfail.From(err, gitfail.Local)
	}
	if refs[head] == "" {
		head = ""
	}
	return Result{Refs: lsrefs.FromMap(refs, head)}, nil
}
