package importer

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"time"

	"github.com/lorry-controller/lorry-controller/core/importer/area"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/importer/push"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
	"github.com/lorry-controller/lorry-controller/core/spec"
)

// settled reports whether there is nothing to do: upstream is as it was at the
// last verified push, and the mirror need not be looked at or is as it was too.
// The error, a *gitfail.Error, is the mirror's.
func (j *job) settled(ctx context.Context, upstream lsrefs.Listing) (bool, error) {
	if last := j.lastDigest(); last == "" || last != j.digest(upstream) {
		return false, nil
	}
	if h, known := area.ReadHealth(j.areaDir()); known {
		j.report.DiskUsage = h.Size
		return !j.over(h.Verified, j.Upkeep.verify()) && !j.checkDue(h), nil
	}
	if j.PullOnly || !j.turn() {
		return true, nil
	}
	return j.mirrored(ctx, upstream)
}

// lastDigest is the digest of upstream at the last verified push, or "". A job
// of the queue brings it along; a run by hand wrote it down, and does not go by
// it where it has more to do than to mirror.
func (j *job) lastDigest() string {
	if j.Request != nil {
		return j.Request.Digest
	}
	if j.PullOnly || j.Export.due(j.Spec.Name) || j.mirrorGone() {
		return ""
	}
	h, _ := area.ReadHealth(j.areaDir())
	return h.Digest
}

// mirrorGone reports whether a mirror on this machine is not there.
func (j *job) mirrorGone() bool {
	dir := LocalPath(j.push.URL)
	if dir == "" {
		return false
	}
	_, err := os.Stat(dir)
	_, bare := os.Stat(dir + ".git")
	return errors.Is(err, fs.ErrNotExist) && errors.Is(bare, fs.ErrNotExist)
}

// turn reports whether a Lorry without a working copy, and so without a record
// of when the mirror was looked at, is to look now. Each has a moment of the day
// of its own, and the first job after it does.
func (j *job) turn() bool {
	every := j.Upkeep.verify()
	past := (time.Duration(j.Clock().UnixNano())%every + every - j.share(every)) % every
	return past < time.Duration(j.Request.Interval)*time.Second
}

// share is a part of a time that is always the same for one Lorry, and spreads
// many.
func (j *job) share(of time.Duration) time.Duration {
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(j.Spec.Name))
	return time.Duration(sum.Sum64() % uint64(of))
}

// mirrored looks whether the mirror has what upstream has. Of a source that is
// no git repository it looks for the refs alone: what they name, only a working
// copy knows.
func (j *job) mirrored(ctx context.Context, upstream lsrefs.Listing) (bool, error) {
	p := &push.Push{Repo: &repo.Repo{Git: j.net.pushGit}, Access: j.push, Local: LocalPath(j.push.URL), Route: j.net.pushRoute, Reader: j.Reader, Policy: j.policy}
	have, err := p.List(ctx)
	if err != nil {
		return false, err
	}
	wanted, _ := j.policy.Wanted(upstream.Map())
	for _, w := range wanted {
		if object := have[w.Dst]; object == "" || j.Spec.Type == spec.Git && object != w.Object {
			fmt.Fprintf(j.Out, ".. the mirror's %s is not what was pushed\n", w.Dst)
			return false, nil
		}
	}
	return true, nil
}
