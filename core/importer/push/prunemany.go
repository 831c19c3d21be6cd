package push

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/policy"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
)

// pruneMany deletes refs when they are very many and the mirror has very many:
// git compares each that it is told to delete with each that is there, which for
// 20,000 of 50,000 takes the better part of an hour. Told what shall stay, it
// finds the others by a table. A guard sees to it that these are exactly the
// ones that are gone, each as it was seen; the mirror is looked at anew, since
// refs were pushed in between. What it gives back is left for leases.
func (p *Push) pruneMany(ctx context.Context, gone []string, have map[string]string) (said map[string]report, left []string) {
	said = make(map[string]report)
	if len(gone)*len(have) <= p.comparisons() {
		return said, gone
	}
	now, err := p.List(ctx)
	if err != nil {
		return said, gone
	}
	patterns, goes := patternsOf(gone)
	for ref := range goes {
		if now[ref] != have[ref] {
			delete(goes, ref) // a lease says so
		}
	}
	stay, unknown, err := p.staying(ctx, goes, patterns, now)
	if err != nil || len(goes) == 0 {
		return said, gone
	}
	dir, err := p.stage(stay)
	if err != nil {
		return said, gone
	}
	defer func() { _ = repo.Remove(dir) }()
	for ref := range goes {
		unknown = append(unknown, policy.Wanted{Dst: ref})
	}
	hooks, err := writeGuard(dir, unknown, now)
	if err != nil {
		return said, gone
	}
	call := childproc.GitCall{GitDir: dir, Config: []childproc.Setting{{Key: "core.hooksPath", Value: hooks}}, Patience: time.Duration(len(goes)) * perRef}
	// All at once where the server can: it then writes its list of refs once, and
	// not once for each.
	for _, how := range [][]string{{"--atomic", "--prune"}, {"--prune"}} {
		if len(unknown) > len(goes) && how[0] == "--atomic" {
			continue // what git does not send would keep back the rest
		}
		told, err := p.git(ctx, call, append(append(how, "--", p.Access.URL), patterns...))
		clear(said)
		for ref, r := range told {
			if goes[ref] {
				said[ref] = r
			}
		}
		if err == nil && len(said) == len(goes) || ctx.Err() != nil {
			break
		}
	}
	return said, slices.DeleteFunc(slices.Clone(gone), func(ref string) bool { _, told := said[ref]; return told })
}

// patternsOf gives the refspecs that cover branches and tags, as far as some of
// them are gone, and which.
func patternsOf(gone []string) (patterns []string, goes map[string]bool) {
	goes = make(map[string]bool)
	for _, ref := range gone {
		if pattern := patternFor(ref); pattern != "" {
			goes[ref] = true
			if !slices.Contains(patterns, pattern) {
				patterns = append(patterns, pattern)
			}
		}
	}
	return patterns, goes
}

// patternFor is the refspec of all branches, or of all tags, for one of them.
func patternFor(ref string) string {
	for _, prefix := range []string{"refs/heads/", "refs/tags/"} {
		if strings.HasPrefix(ref, prefix) {
			return prefix + "*:" + prefix + "*"
		}
	}
	return ""
}

// staying are the refs that the patterns cover and that shall stay, as they are.
// Of those whose objects are not here, which others put there, unknown tells:
// git is shown another object in its place, and never pushes over one that it
// does not know.
func (p *Push) staying(ctx context.Context, goes map[string]bool, patterns []string, have map[string]string) (stay, unknown []policy.Wanted, err error) {
	var objects []string
	for ref, object := range have {
		if !goes[ref] && slices.Contains(patterns, patternFor(ref)) {
			stay = append(stay, policy.Wanted{Dst: ref, Object: object})
			objects = append(objects, object)
		}
	}
	slices.Sort(objects)
	missing, err := p.Repo.Missing(ctx, slices.Compact(objects))
	if err != nil {
		return nil, nil, err
	}
	known := ""
	for _, w := range stay {
		if !missing[w.Object] {
			known = w.Object
		}
	}
	for i, w := range stay {
		if !missing[w.Object] {
			continue
		}
		if known == "" {
			return nil, nil, errNothingKnown
		}
		stay[i].Object = known
		unknown = append(unknown, stay[i])
	}
	return stay, unknown, nil
}

var errNothingKnown = errors.New("none of the objects that stay downstream is here")
