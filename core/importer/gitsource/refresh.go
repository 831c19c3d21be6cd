package gitsource

import (
	"context"
	"fmt"
	"maps"

	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
	"github.com/lorry-controller/lorry-controller/core/importer/workcopy"
)

// refresh brings a repository that is there up to date.
func (s *Source) refresh(ctx context.Context, upstream lsrefs.Listing) (workcopy.Result, error) {
	before, err := s.Local(ctx)
	if err != nil {
		return workcopy.Result{}, gitfail.From(err, gitfail.Local)
	}
	if maps.Equal(before, upstream.Map()) {
		if err := s.Follow(ctx, upstream.Head); err != nil {
			return workcopy.Result{}, gitfail.From(err, gitfail.Local)
		}
		return workcopy.Result{Refs: upstream, Upstream: upstream}, nil
	}
	fmt.Fprintln(s.Out, ".. updating existing clone")
	return s.Change(ctx, before, func(ctx context.Context) (workcopy.Result, error) { return s.change(ctx, upstream, before) })
}

// change fetches, drops what upstream no longer has, keeps old tips and
// follows HEAD.
func (s *Source) change(ctx context.Context, upstream lsrefs.Listing, before map[string]string) (workcopy.Result, error) {
	wanted := upstream.Map()
	first := workcopy.Clashing(before, wanted)
	if err := s.Repo.Apply(ctx, first); err != nil {
		return workcopy.Result{}, gitfail.From(err, gitfail.Local)
	}
	if changing := workcopy.Differing(before, overlay(before, wanted)); changing > 0 {
		if err := s.fetch(ctx, changing); err != nil {
			return workcopy.Result{}, err
		}
	}
	if err := s.drop(ctx, before, wanted, first); err != nil {
		return workcopy.Result{}, err
	}
	after, err := s.Local(ctx)
	if err != nil {
		return workcopy.Result{}, gitfail.From(err, gitfail.Local)
	}
	left, err := s.left(ctx, before, wanted, after)
	if err != nil {
		return workcopy.Result{}, err
	}
	if err := s.Keep(ctx, before, after); err != nil {
		return workcopy.Result{}, gitfail.From(err, gitfail.Local)
	}
	if err := s.Follow(ctx, upstream.Head); err != nil {
		return workcopy.Result{}, gitfail.From(err, gitfail.Local)
	}
	head := upstream.Head
	if after[head] == "" {
		head = ""
	}
	listing := lsrefs.FromMap(after, head)
	return workcopy.Result{Refs: listing, Upstream: listing, Changed: workcopy.Differing(before, after), Left: left}, nil
}

// overlay is before with what is wanted over it.
func overlay(before, wanted map[string]string) map[string]string {
	all := maps.Clone(before)
	maps.Copy(all, wanted)
	return all
}

// drop removes what upstream does not have any more. A ref that is not in the
// listing but came with the fetch was made in between, and stays. done were
// removed before.
func (s *Source) drop(ctx context.Context, before, wanted map[string]string, done []repo.Change) error {
	if err := s.Repo.Drop(ctx, workcopy.Gone(before, wanted, done)); err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	return nil
}
