package push

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lorry-controller/lorry-controller/core/importer/policy"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
)

// bar is why a ref is not pushed or deleted although it differs, and what to do.
type bar struct {
	reason, hint string
	follows      string // the ref that it was to change with
}

// plan is what a push does with the refs that differ.
type plan struct {
	first []string        // to delete before the push: they stand in its way
	push  []policy.Wanted // to push
	last  []string        // to delete after it

	bars    map[string]bar    // what is not touched, and why
	follows map[string]string // what changes with the ref that it stands for
	objects map[string]string // all that is wanted, by name
}

// plan sorts out what can be pushed and deleted. links are the symbolic refs
// downstream: whoever pushes to one, or deletes it, changes another ref.
func (p *Push) plan(wanted, differ []policy.Wanted, gone []string, have, links map[string]string) plan {
	out := plan{bars: make(map[string]bar), follows: make(map[string]string), objects: make(map[string]string, len(wanted))}
	for _, w := range wanted {
		out.objects[w.Dst] = w.Object
	}
	goes := make(map[string]bool, len(gone))
	for _, ref := range gone {
		if to := links[ref]; to != "" {
			out.bars[ref] = symbolic(to, "delete it downstream if it is not needed: prune deletes no symbolic ref")
			continue
		}
		goes[ref] = true
	}
	for _, w := range differ {
		switch to := links[w.Dst]; {
		case !pushable(w.Dst):
			out.bars[w.Dst] = bar{reason: "git pushes to no ref of this name", hint: "see to the refspecs, which give this name"}
		case to != "" && out.objects[to] == w.Object:
			out.follows[w.Dst] = to
		case to != "":
			out.bars[w.Dst] = symbolic(to, hintLink)
		default:
			out.push = append(out.push, w)
		}
	}
	out.first = out.clear(have, goes)
	for _, ref := range out.first {
		delete(goes, ref)
	}
	for _, ref := range gone {
		if goes[ref] {
			out.last = append(out.last, ref)
		}
	}
	return out
}

// hintLink is what to do about a symbolic ref that is to be pushed to.
const hintLink = "delete the symbolic ref downstream, or leave this ref out by the refspecs"

func symbolic(to, hint string) bar {
	return bar{reason: "it is a symbolic ref to " + to + " there, which would change in its place", hint: hint}
}

// pushable reports whether git pushes to a ref of that name: it passes over what
// stands directly below refs/.
func pushable(name string) bool {
	return repo.ValidName(name) && strings.Count(name, "/") > 1
}

// clear sees to new refs whose names are directories of others downstream, or
// the other way round: no repository has both. What goes anyway goes first, and
// what others made there stays.
func (l *plan) clear(have map[string]string, goes map[string]bool) (first []string) {
	below := make(map[string][]string) // by new name
	for _, w := range l.push {
		if have[w.Dst] == "" {
			below[w.Dst] = nil
		}
	}
	for ref := range have {
		for dir := range parents(ref) {
			if list, isNew := below[dir]; isNew {
				below[dir] = append(list, ref)
			}
		}
	}
	l.push = slices.DeleteFunc(l.push, func(w policy.Wanted) bool {
		inTheWay, isNew := below[w.Dst]
		if !isNew {
			return false
		}
		for dir := range parents(w.Dst) {
			if have[dir] != "" {
				inTheWay = append(inTheWay, dir)
			}
		}
		slices.Sort(inTheWay)
		for _, ref := range inTheWay {
			if !goes[ref] {
				l.bars[w.Dst] = bar{
					reason: fmt.Sprintf("%s is there, and no repository can have both", ref),
					hint:   "delete " + ref + " downstream if it is not needed, or let prune delete what upstream has deleted",
				}
				return true
			}
		}
		first = append(first, inTheWay...)
		return false
	})
	slices.Sort(first)
	return slices.Compact(first)
}

// parents are the directories that a name lies in.
func parents(name string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for i := strings.LastIndexByte(name, '/'); i > 0; i = strings.LastIndexByte(name[:i], '/') {
			if !yield(name[:i]) {
				return
			}
		}
	}
}

// compare holds what downstream has after the push against all that is wanted,
// and gives what was as it shall be and is so no more.
func (l *plan) compare(wanted []policy.Wanted, before, after, links map[string]string) (changed []policy.Wanted) {
	for _, w := range wanted {
		switch to := links[w.Dst]; {
		case l.bars[w.Dst].reason != "":
		case before[w.Dst] == w.Object && after[w.Dst] != w.Object:
			now := "deleted it"
			if after[w.Dst] != "" {
				now = fmt.Sprintf("set it to %.12s", after[w.Dst])
			}
			l.bars[w.Dst] = bar{reason: "it was so before the push, and somebody else has " + now + " meanwhile"}
			changed = append(changed, w)
		case before[w.Dst] == w.Object:
		case l.follows[w.Dst] != "" && after[w.Dst] != w.Object:
			l.bars[w.Dst] = bar{reason: "it is a symbolic ref to " + l.follows[w.Dst] + " there, which was not changed", follows: l.follows[w.Dst]}
		case to != "" && l.objects[to] != w.Object: // it led nowhere, and was not listed
			l.bars[w.Dst] = symbolic(to, hintLink)
		}
	}
	return changed
}
