package push

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/policy"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
)

const (
	// pruneAtOnce is how many refs one call of git deletes.
	pruneAtOnce = 200
	// fewRefs is how many may vanish however few there are.
	fewRefs = 10
)

// gone are the refs to delete: those that this Lorry pushed, that upstream has
// no longer (not merely the specification, without which its list may not cover
// them), and that downstream still has as they were pushed. When most of them
// have vanished at once, none is: that is more likely a fault.
func (p *Push) gone(wanted []policy.Wanted, pushed, sources, have map[string]string) []string {
	if !p.Policy.Prune() {
		return nil
	}
	wants := make(map[string]bool, len(wanted))
	for _, w := range wanted {
		wants[w.Dst] = true
	}
	var list []string
	for ref, object := range pushed {
		if !wants[ref] && have[ref] == object && p.vanished(ref, sources[ref]) {
			list = append(list, ref)
		}
	}
	if len(list) > fewRefs && len(list) > len(pushed)/2 {
		fmt.Fprintf(p.Out, ".. warning: %d of %d refs have vanished upstream at once; none is pruned: if they are meant to go, delete them downstream\n", len(list), len(pushed))
		return nil
	}
	slices.Sort(list)
	return list
}

// vanished reports whether upstream has no longer what a ref was made of. Where
// that is not on record, it is what has the same name, unless refs are renamed.
func (p *Push) vanished(ref, source string) bool {
	if source == "" && !p.Policy.Renames() {
		source = ref
	}
	return p.Policy.Mirrors(source) && p.Upstream[source] == ""
}

// prune deletes refs, each only if it still has the value that was seen.
func (p *Push) prune(ctx context.Context, gone []string, have map[string]string) (map[string]report, error) {
	said, gone := p.pruneHere(ctx, gone, have)
	many, gone := p.pruneMany(ctx, gone, have)
	maps.Copy(said, many)
	var failed error
	for chunk := range slices.Chunk(gone, pruneAtOnce) {
		args := []string{"--no-verify"}
		for _, ref := range chunk {
			args = append(args, "--force-with-lease="+ref+":"+have[ref])
		}
		args = append(args, "--", p.Access.URL)
		for _, ref := range chunk {
			args = append(args, ":"+ref)
		}
		told, err := p.git(ctx, childproc.GitCall{GitDir: p.Repo.Dir}, args)
		maps.Copy(said, told)
		if err != nil {
			failed = err
		}
	}
	return said, failed
}

// pruneHere deletes refs of a repository on this machine, all at once: git push
// would write the list of refs anew for each. What it leaves is for a push to
// delete, which says what is in the way: all of them when one has changed, and
// the branch that HEAD names.
func (p *Push) pruneHere(ctx context.Context, gone []string, have map[string]string) (said map[string]report, left []string) {
	said = make(map[string]report)
	if p.Local == "" || !isPlain(p.Local) {
		return said, gone
	}
	target := &repo.Repo{Dir: p.Local, Git: p.Repo.Git, Files: p.Repo.Files}
	head := target.Head()
	var changes []repo.Change
	for _, ref := range gone {
		if ref == head {
			left = append(left, ref)
			continue
		}
		changes = append(changes, repo.Change{Ref: ref, Old: have[ref]})
	}
	if target.Apply(ctx, changes) != nil {
		return said, gone
	}
	for _, c := range changes {
		said[c.Ref] = report{flag: '-'}
	}
	return said, left
}

// take tells of the refs that will not have their objects any more.
func (p *Push) take(ctx context.Context, differ []policy.Wanted, gone []string, have map[string]string) error {
	if p.Taking == nil {
		return nil
	}
	from := make(map[string]string)
	for _, w := range differ {
		if w.Forces(have[w.Dst]) {
			from[w.Dst] = have[w.Dst]
		}
	}
	for _, ref := range gone {
		from[ref] = have[ref]
	}
	if len(from) == 0 {
		return nil
	}
	return p.Taking(ctx, from)
}
