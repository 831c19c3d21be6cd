package importer

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
	"github.com/lorry-controller/lorry-controller/core/importer/workcopy"
)

// fresh is for how long what was read upstream is good enough to overwrite
// something with. A job that was stopped for longer, with its machine or by a
// signal, may be a ghost: another minion may have pushed something newer.
const fresh = 30 * time.Second

// taking sees to the refs that the push takes an object from, after their
// values were read and before they are overwritten.
func (j *job) taking(place *workcopy.Copy, r *repo.Repo, got workcopy.Result) func(context.Context, map[string]string) error {
	return func(ctx context.Context, from map[string]string) error {
		if err := j.stillSo(ctx, got.Upstream, from); err != nil {
			return err
		}
		return j.keepTaken(ctx, place, r, got, from)
	}
}

// stillSo makes sure that upstream wants the refs as it did when it was read,
// unless that was just now. What downstream has is compared and swapped, but a
// ghost reads it as the newer job left it.
func (j *job) stillSo(ctx context.Context, read lsrefs.Listing, from map[string]string) error {
	if since := j.Clock().Sub(j.readAt); since >= 0 && since < fresh || len(read.Refs) == 0 {
		return nil
	}
	now, err := j.look(ctx)
	if err != nil {
		return err
	}
	before, after := j.destinations(read), j.destinations(now)
	for _, ref := range slices.Sorted(maps.Keys(from)) {
		if before[ref] != after[ref] {
			return gitfail.New(core.FailNetwork, gitfail.Upstream, "nothing to do: the next job brings what is there now",
				"upstream: %s has changed since it was read, and is not overwritten with what is old", ref)
		}
	}
	return nil
}

// destinations is what a listing makes of each ref downstream.
func (j *job) destinations(l lsrefs.Listing) map[string]string {
	wanted, _ := j.policy.Wanted(l.Map())
	refs := make(map[string]string, len(wanted))
	for _, w := range wanted {
		refs[w.Dst] = w.Object
	}
	return refs
}

// keepTaken keeps what the push takes from the mirror's refs. What the working
// copy had itself at the beginning of this job has been seen to.
func (j *job) keepTaken(ctx context.Context, place *workcopy.Copy, r *repo.Repo, got workcopy.Result, from map[string]string) error {
	known := make(map[string]bool)
	for _, object := range got.Before {
		known[object] = true
	}
	for _, ref := range got.Refs.Refs {
		known[ref.Object] = true
	}
	maps.DeleteFunc(from, func(_, object string) bool { return known[object] })
	if len(from) == 0 {
		return nil
	}
	return place.KeepTaken(ctx, r, j.push, from)
}
