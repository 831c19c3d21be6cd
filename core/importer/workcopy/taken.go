package workcopy

import (
	"context"
	"fmt"
	"path"
	"sort"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
)

// KeepTaken gives a ref of our own to every object that a push is about to take
// from a ref of the mirror, which access leads to, and that nothing here leads
// to: this may be another working copy than the one that brought it there, or
// somebody else did. Objects that are not here are fetched from the mirror. r is
// the repository as programs reach the mirror from it. The error is a
// *gitfail.Error.
func (c *Copy) KeepTaken(ctx context.Context, r *repo.Repo, access core.Access, from map[string]string) error {
	objects := make([]string, 0, len(from))
	for _, object := range from {
		objects = append(objects, object)
	}
	sort.Strings(objects)
	missing, err := r.Missing(ctx, objects)
	if err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	lost, err := r.Lost(ctx, objects)
	if err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	var kept []repo.Change
	var specs strings.Builder
	for name, object := range from {
		ref := c.keptName(name, object)
		switch {
		case missing[object]:
			fmt.Fprintf(&specs, "+%s:%s\n", name, ref)
		case lost[object]:
			kept = append(kept, repo.Change{Ref: ref, New: object})
		default:
			continue
		}
		fmt.Fprintf(c.Out, ".. the old tip %.12s of downstream %s is kept as %s\n", object, name, ref)
	}
	if err := c.applyKept(ctx, r, kept); err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	if specs.Len() == 0 {
		return nil
	}
	call := r.Call("fetch", "--quiet", "--atomic", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--stdin", "--", access.URL)
	call.Protocols, call.Access = lsrefs.Protocols(access.URL), &access
	call.Stdin, call.Stderr = strings.NewReader(specs.String()), c.Progress
	// Nothing of it is ever pushed: faults of what somebody else made do no harm.
	call.Config = []childproc.Setting{{Key: "transfer.fsckObjects", Value: "false"}}
	if err := r.Git.Run(ctx, call); err != nil {
		return gitfail.From(fmt.Errorf("the old tips of what is to be overwritten cannot be kept: %w", err), gitfail.Downstream)
	}
	return nil
}

// applyKept makes refs of our own for old tips, in place of earlier ones for the
// same: a ref may come and go for years.
func (c *Copy) applyKept(ctx context.Context, r *repo.Repo, kept []repo.Change) error {
	if len(kept) == 0 {
		return nil
	}
	before, err := r.Refs(ctx, keptRefs)
	if err != nil {
		return err
	}
	now := make(map[string]string, len(kept)) // by place and object
	for _, k := range kept {
		now[path.Dir(k.Ref)+" "+k.New] = k.Ref
	}
	var gone []repo.Change
	for ref, object := range before {
		if newer := now[path.Dir(ref)+" "+object]; newer != "" && newer != ref {
			gone = append(gone, repo.Change{Ref: ref})
		}
	}
	sort.Slice(kept, func(i, j int) bool { return kept[i].Ref < kept[j].Ref })
	if err := r.Add(ctx, kept); err != nil {
		return err
	}
	sort.Slice(gone, func(i, j int) bool { return gone[i].Ref < gone[j].Ref })
	return r.Apply(ctx, gone)
}

// keptName is the ref of our own for the old tip of a ref.
func (c *Copy) keptName(name, object string) string {
	return keptRefs + strings.TrimPrefix(name, "refs/") + "/" + c.Clock().UTC().Format(keptStamp) + "-" + object[:12]
}
