package importer

import (
	"context"
	"maps"
	"slices"

	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/lfs"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/importer/policy"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
	"github.com/lorry-controller/lorry-controller/core/spec"
)

// large brings the objects of git-lfs that go with a job's refs, or is nil when
// the specification declines them or the source has none.
func (j *job) large(r *repo.Repo) *lfs.Sync {
	if j.Spec.LFS == spec.LFSNo || j.Spec.Type != spec.Git && j.Spec.Type != spec.RawFile {
		return nil
	}
	s := &lfs.Sync{Repo: r, Always: j.Spec.LFS == spec.LFSYes || j.Spec.Type == spec.RawFile, Retry: lfs.DefaultRetry, Out: j.Out, Progress: j.progress, Log: j.Log, Look: j.Upkeep.verify(), Now: j.Clock()}
	if j.Spec.Type == spec.Git {
		s.Upstream = lfs.Side{Access: j.fetch, Path: LocalPath(j.fetch.URL), Place: gitfail.Upstream, Route: j.net.fetchRoute, Git: j.net.fetchGit}
	}
	return s
}

// largeUp brings upstream's objects into the working area, where nothing is
// pushed.
func (j *job) largeUp(ctx context.Context, r *repo.Repo, refs lsrefs.Listing) error {
	s := j.large(r)
	if s == nil {
		return nil
	}
	wanted, _ := j.policy.Wanted(refs.Map())
	return s.Run(ctx, tips(wanted), nil)
}

// largeDown gives what brings the objects downstream before the refs are pushed.
func (j *job) largeDown(r *repo.Repo, wanted []policy.Wanted) func(context.Context, map[string]string) error {
	s := j.large(r)
	if s == nil {
		return nil
	}
	s.Downstream = lfs.Side{Access: j.push, Path: LocalPath(j.push.URL), Place: gitfail.Downstream, Route: j.net.pushRoute, Git: j.net.pushGit}
	return func(ctx context.Context, have map[string]string) error {
		return s.Run(ctx, tips(wanted), slices.Collect(maps.Values(have)))
	}
}

func tips(wanted []policy.Wanted) []string {
	list := make([]string, 0, len(wanted))
	for _, w := range wanted {
		list = append(list, w.Object)
	}
	return list
}
