package importer

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/policy"
	"github.com/lorry-controller/lorry-controller/core/importer/push"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
)

// pushAll pushes the refs, and sees to the default branch.
func (j *job) pushAll(ctx context.Context, p *push.Push, wanted []policy.Wanted) (push.Result, error) {
	p.Arrived = func(ctx context.Context) { _ = j.followHead(ctx) } // what fails fails again below
	res, err := p.Run(ctx, wanted)
	if err != nil {
		return res, err
	}
	if err := j.followHead(ctx); err != nil && !res.Failure.Failed() {
		res.Failure = gitfail.From(err, gitfail.Downstream).Failure
	}
	return res, nil
}

// followHead makes HEAD of a mirror on this machine name the branch that it
// shall, once that is there, in a run by hand: elsewhere the core does it. It
// does so while HEAD names a branch that is not there or what this Lorry made it
// name: an owner who chose another branch keeps that.
func (j *job) followHead(ctx context.Context) error {
	dir, want := LocalPath(j.push.URL), j.report.Head
	if j.Request != nil || dir == "" || want == "" {
		return nil
	}
	target := &repo.Repo{Dir: dir, Git: j.Git, Files: []*os.File{j.area.Lock()}}
	now := target.Head()
	if !strings.HasPrefix(now, "refs/heads/") {
		return nil // detached, or no bare repository: somebody's own
	}
	have, err := target.Refs(ctx, "refs/heads/")
	if err != nil || have[want] == "" {
		return err
	}
	last := j.area.Head(j.push.URL)
	if now != want {
		if have[now] != "" && now != last {
			return nil
		}
		if err := target.SetHead(ctx, want); err != nil {
			return err
		}
		fmt.Fprintf(j.Out, ".. the mirror's default branch is now %s\n", want)
	}
	if last == want {
		return nil
	}
	return j.area.SetHead(j.push.URL, want)
}

// warnHead tells of a default branch that the specification names and that the
// mirror cannot have.
func (j *job) warnHead(upstream map[string]string) {
	switch {
	case j.Spec.SourceHead == "" || j.report.Head != "":
	case upstream[j.Spec.SourceHead] == "":
		fmt.Fprintf(j.Out, ".. warning: upstream has no %s, which source-HEAD names; the mirror's default branch stays as it is\n", j.Spec.SourceHead)
	default:
		fmt.Fprintf(j.Out, ".. warning: the refspecs leave out %s, which source-HEAD names; the mirror's default branch stays as it is\n", j.Spec.SourceHead)
	}
}
