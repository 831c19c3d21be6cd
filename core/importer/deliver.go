package importer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/area"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/policy"
	"github.com/lorry-controller/lorry-controller/core/importer/push"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
	"github.com/lorry-controller/lorry-controller/core/importer/workcopy"
	"github.com/lorry-controller/lorry-controller/core/spec"
)

// deliver pushes the refs and proves that they have arrived. It gives how many
// changed downstream.
func (j *job) deliver(ctx context.Context, place *workcopy.Copy, got workcopy.Result) (int, error) {
	refs, r := got.Refs, &repo.Repo{Dir: place.Repo.Dir, Git: j.net.pushGit, Files: place.Repo.Files}
	upstream := refs.Map()
	wanted, missing := j.policy.Wanted(upstream)
	for _, name := range missing {
		fmt.Fprintf(j.Out, ".. warning: upstream has no %s any more, which the refspecs name\n", name)
	}
	j.warnHead(upstream)
	if len(wanted) == 0 {
		return 0, gitfail.New(core.FailEmpty, gitfail.Upstream, gitfail.Hint(core.FailEmpty, gitfail.Upstream),
			"no ref of upstream matches the refspecs (it has %d)", len(refs.Refs))
	}
	if p, ok := j.progress.(*progress); ok {
		p.refs = len(wanted)
		p.phase("pushing")
	}
	fmt.Fprintf(j.Out, ".. pushing %s to mirror at %s\n", j.Spec.Name, j.push.URL)
	if err := j.openLocal(ctx, LocalPath(j.push.URL), r); err != nil {
		return 0, err
	}
	known := &brought{job: j, wanted: wanted, pushed: j.area.Pushed(j.push.URL), meant: j.area.Meant(j.push.URL)}
	p := &push.Push{
		Repo: r, Access: j.push, Local: LocalPath(j.push.URL), Route: j.net.pushRoute, Reader: j.Reader, Policy: j.policy, Options: j.PushOptions, Temp: j.area.Temp,
		Whole: j.Spec.Type == spec.Git, Pushed: known.found, Upstream: upstream, Before: j.largeDown(r, wanted), Taking: j.taking(place, r, got), Meaning: known.mean,
		Out: j.Out, Progress: j.progress, Log: j.Log,
	}
	if got.Left != nil { // what could not be had is not gone, so nothing is pruned
		p.Pushed = nil
	}
	if shown, ok := j.progress.(*progress); ok {
		p.Told = shown.refsAre
	}
	res, err := j.pushAll(ctx, p, wanted)
	if ctx.Err() == nil {
		// A push that was cut short leaves its note for the next run.
		if end := j.area.EndPush(); end != nil && err == nil {
			err = gitfail.From(end, gitfail.Local)
		}
	}
	if err != nil {
		return 0, err
	}
	j.report.Refs = res.Refs
	if err := known.remember(res); err != nil {
		return res.Changed, gitfail.From(err, gitfail.Local)
	}
	printRefs(j.Out, res.Refs, len(wanted))
	if res.Changed > 0 {
		j.warnPassedOver(upstream)
	}
	if res.Failure.Failed() {
		return res.Changed, &gitfail.Error{Failure: res.Failure, Place: gitfail.Downstream}
	}
	return res.Changed, nil
}

// mostPassedOver is how many refs that go nowhere are named.
const mostPassedOver = 10

// warnPassedOver tells of refs that are mirrored nowhere, since others have what
// would be their names.
func (j *job) warnPassedOver(upstream map[string]string) {
	over := j.policy.PassedOver(upstream)
	for _, o := range over[:min(len(over), mostPassedOver)] {
		fmt.Fprintf(j.Out, ".. warning: upstream's %s is not mirrored: the refspecs bring %s to %s\n", o.Src, o.For, o.Dst)
	}
	if more := len(over) - mostPassedOver; more > 0 {
		fmt.Fprintf(j.Out, ".. warning: nor are %d more refs\n", more)
	}
}

// openLocal gets a downstream repository on this machine ready: it puts right
// what a dead run of ours left there and, by hand, makes the repository.
func (j *job) openLocal(ctx context.Context, dir string, r *repo.Repo) error {
	if dir == "" {
		return nil
	}
	if err := j.undoPush(ctx); err != nil {
		return err
	}
	if err := j.area.BeginPush(dir); err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	if j.Request != nil {
		return nil
	}
	switch there, err := os.Stat(dir); {
	case err == nil && !there.IsDir():
		return gitfail.New(core.FailSpec, gitfail.Downstream, "move it away, or name another place to push to", "downstream: %q is no directory, where the mirror is to be", dir)
	case !errors.Is(err, fs.ErrNotExist) && !repo.HalfMade(dir):
		return nil
	}
	if _, err := os.Stat(dir + ".git"); err == nil {
		j.push.URL += ".git"
		return j.area.BeginPush(dir + ".git")
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return gitfail.From(err, gitfail.Downstream)
	}
	target := &repo.Repo{Dir: dir, Git: j.Git, Files: r.Files}
	if err := target.CreateLike(r); err != nil {
		return gitfail.From(err, gitfail.Downstream)
	}
	if err := j.area.SetHead(j.push.URL, target.Head()); err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	return nil
}

// undoPush removes the locks that a dead run of ours left downstream. Its
// programs have ended, since we have the lock that they held; the moment's wait
// spares the locks of others, which last no longer.
func (j *job) undoPush(ctx context.Context) error {
	dir, start := j.area.UnfinishedPush()
	if dir == "" {
		return nil
	}
	wait := time.NewTimer(repo.StaleAge)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
		return gitfail.From(context.Cause(ctx), gitfail.Local)
	}
	removed, err := repo.SweepSince(dir, start, j.Clock())
	if err != nil {
		return gitfail.From(err, gitfail.Downstream)
	}
	j.Log.Info("removed what a dead run left downstream", "lorry", j.Spec.Name, "files", removed)
	return nil
}

// brought is what is known of the refs that this Lorry has brought downstream.
type brought struct {
	*job
	wanted []policy.Wanted
	pushed area.Pushed // what is on record
	meant  area.Pushed // what pushes were to bring that were not read back
}

// found is what this Lorry has brought there, by what is there now.
func (b *brought) found(now map[string]string) (refs, sources map[string]string) {
	all := b.pushed.With(b.meant.Found(now))
	return all.Refs, all.Sources
}

// mean notes what a push is to create or change, so that a run that dies before
// the record is written loses nothing. What an earlier note says, and is there,
// goes on record first: the ref may be about to change again.
func (b *brought) mean(refs []policy.Wanted, now map[string]string) error {
	if len(b.meant.Refs) > 0 {
		if err := b.record(push.Result{After: now}); err != nil {
			return gitfail.From(err, gitfail.Local)
		}
	}
	next := area.Pushed{Refs: make(map[string]string, len(refs)), Sources: make(map[string]string, len(refs))}
	for _, w := range refs {
		next.Refs[w.Dst], next.Sources[w.Dst] = w.Object, w.Src
	}
	if err := b.area.SetMeant(b.push.URL, b.meant.With(next)); err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	return nil
}

// remember writes down what a push has brought that was read back.
func (b *brought) remember(res push.Result) error {
	if err := b.record(res); err != nil {
		return err
	}
	return b.area.DropMeant()
}

// record writes down what this Lorry has brought downstream: what was there
// before and was not deleted, with what is there now. What others had brought
// there already counts only when nothing is on record, as for a mirror that is
// taken over.
func (b *brought) record(res push.Result) error {
	done := make(map[string]bool, len(res.Refs))
	for _, r := range res.Refs {
		done[r.Ref] = r.Status != core.RefRejected && r.Status != core.RefHeld
	}
	first, before := b.pushed.Refs == nil, b.pushed.With(b.meant.Found(res.After))
	now := area.Pushed{Refs: make(map[string]string, len(b.wanted)), Sources: make(map[string]string, len(b.wanted))}
	maps.Copy(now.Refs, before.Refs)
	maps.Copy(now.Sources, before.Sources)
	wants := make(map[string]bool, len(b.wanted))
	adopted := 0
	for _, w := range b.wanted {
		wants[w.Dst] = true
		ours := done[w.Dst] || before.Refs[w.Dst] != ""
		if res.After[w.Dst] != w.Object || !ours && !first {
			continue
		}
		if !ours {
			adopted++
		}
		now.Refs[w.Dst], now.Sources[w.Dst] = w.Object, w.Src
	}
	for ref := range now.Refs {
		if !wants[ref] && res.After[ref] == "" {
			delete(now.Refs, ref)
			delete(now.Sources, ref)
		}
	}
	if adopted > 0 && b.policy.Prune() {
		fmt.Fprintf(b.Out, ".. what upstream has was downstream before the first push (%d refs): it will be pruned like what was pushed\n", adopted)
	}
	if now.Equal(b.pushed) {
		return nil
	}
	b.pushed = now
	return b.area.SetPushed(b.push.URL, now)
}
