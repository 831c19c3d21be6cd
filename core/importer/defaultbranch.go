package importer

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/policy"
	"github.com/lorry-controller/lorry-controller/core/importer/push"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
)

// pushAll pushes the refs and then, by hand, makes the default branch of a mirror
// on this machine what it shall be. What could not be deleted since it still was
// the default branch is deleted thereafter, as the core has it done.
func (j *job) pushAll(ctx context.Context, p *push.Push, wanted []policy.Wanted) (push.Result, error) {
	res, err := p.Run(ctx, wanted)
	if err != nil {
		return res, err
	}
	old, err := j.followHead(ctx, res.After)
	if err != nil && !res.Failure.Failed() {
		res.Failure = gitfail.From(err, gitfail.Downstream).Failure
	}
	refused := func(r core.RefResult) bool { return r.Ref == old && r.New == "" && r.Status == core.RefRejected }
	if old == "" || !slices.ContainsFunc(res.Refs, refused) {
		return res, nil
	}
	p.Pushed = maps.Clone(p.Pushed)
	for _, r := range res.Refs {
		if r.New != "" && res.After[r.Ref] == r.New { // that was us, nobody else
			p.Pushed[r.Ref] = r.New
		}
	}
	again, err := p.Run(ctx, wanted)
	if err != nil {
		return res, err
	}
	for _, r := range res.Refs {
		if !slices.ContainsFunc(again.Refs, func(now core.RefResult) bool { return now.Ref == r.Ref }) && !refused(r) {
			again.Refs = append(again.Refs, r)
		}
	}
	slices.SortFunc(again.Refs, func(a, b core.RefResult) int { return strings.Compare(a.Ref, b.Ref) })
	again.Changed += res.Changed
	return again, nil
}

// followHead makes HEAD of a mirror on this machine name the branch that it
// shall, once that is there. It does so while HEAD names a branch that is not
// there or what this Lorry made it name: an owner who chose another branch keeps
// that. It gives the branch that was the default one until now, or "".
func (j *job) followHead(ctx context.Context, have map[string]string) (old string, err error) {
	dir, want := LocalPath(j.push.URL), j.report.Head
	if j.Request != nil || dir == "" || want == "" || have[want] == "" {
		return "", nil
	}
	target := &repo.Repo{Dir: dir, Git: j.Git, Files: []*os.File{j.area.Lock()}}
	now := target.Head()
	switch {
	case !strings.HasPrefix(now, "refs/heads/"):
		return "", nil // detached, or no bare repository: somebody's own
	case now == want:
	case have[now] == "" || now == j.area.Head(j.push.URL):
		if err := target.SetHead(ctx, want); err != nil {
			return "", err
		}
		fmt.Fprintf(j.Out, ".. the mirror's default branch is now %s\n", want)
		old = now
	default:
		return "", nil
	}
	if j.area.Head(j.push.URL) == want {
		return old, nil
	}
	return old, j.area.SetHead(j.push.URL, want)
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
