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
	can := sift(upstream.Map())
	can.tell(s)
	if len(can.wanted) == 0 && len(can.lost) > 0 {
		return workcopy.Result{}, can.failure()
	}
	can.hold(before)
	if maps.Equal(before, can.wanted) {
		if err := s.Follow(ctx, upstream.Head); err != nil {
			return workcopy.Result{}, gitfail.From(err, gitfail.Local)
		}
		refs := upstream.Select(func(name string) bool { return can.wanted[name] != "" })
		if len(can.lost) > 0 {
			refs = lsrefs.FromMap(can.wanted, upstream.Head)
		}
		return workcopy.Result{Refs: refs, Upstream: upstream, Left: can.failure()}, nil
	}
	fmt.Fprintln(s.Out, ".. updating existing clone")
	return s.Change(ctx, before, func(ctx context.Context) (workcopy.Result, error) { return s.change(ctx, upstream, can, before) })
}

// change fetches, drops what upstream no longer has, keeps old tips and
// follows HEAD.
func (s *Source) change(ctx context.Context, upstream lsrefs.Listing, can sifted, before map[string]string) (workcopy.Result, error) {
	first := workcopy.Clashing(before, can.wanted)
	if err := s.Repo.Apply(ctx, first); err != nil {
		return workcopy.Result{}, gitfail.From(err, gitfail.Local)
	}
	if changing := workcopy.Differing(before, overlay(before, can.wanted)); changing > 0 {
		if err := s.fetchAll(ctx, &upstream, &can, before, changing); err != nil {
			return workcopy.Result{}, err
		}
	}
	if err := s.drop(ctx, before, can.wanted, first); err != nil {
		return workcopy.Result{}, err
	}
	after, err := s.Local(ctx)
	if err != nil {
		return workcopy.Result{}, gitfail.From(err, gitfail.Local)
	}
	left, err := s.left(ctx, before, can.wanted, after)
	if err != nil {
		return workcopy.Result{}, err
	}
	if left == nil {
		left = can.failure()
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
	look := listing
	if len(can.odd) > 0 { // the next look finds them, too
		look = lsrefs.FromMap(overlay(after, can.odd), head)
	}
	return workcopy.Result{Refs: listing, Upstream: look, Changed: workcopy.Differing(before, after), Left: left}, nil
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
