// Package policy turns the refspecs and patterns of a specification into
// answers: which upstream refs belong into the working area, which refs the
// downstream repository shall have, and which of them may be rewritten.
//
// It must not run git or read a repository.
package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/spec"
)

// keptPrefix is where the working area keeps refs of its own.
const keptPrefix = "refs/lorry/"

// Policy is the ref policy of one Lorry.
type Policy struct {
	take     []spec.Refspec // names before patterns, else in the given order
	leave    []string       // patterns of sources
	only     []string       // when not empty, patterns of which a source matches one
	rewrites core.RewritePolicy
	prune    bool
	approved map[string]Rewrite // by downstream ref, as it is told
}

// Rewrite is one rewrite of a downstream ref: from which object, "" for any, and
// to which.
type Rewrite struct{ Old, New string }

// Wanted is one ref that the downstream repository shall have.
type Wanted struct {
	Dst, Src string // full names
	Object   string
	// Force allows to rewrite Dst: from any object or, when From is not "", from
	// this one alone.
	Force bool
	From  string
}

// Forces reports whether Dst, which now has an object, may be rewritten.
func (w Wanted) Forces(now string) bool {
	return w.Force && now != "" && (w.From == "" || w.From == now)
}

// New makes the policy of a specification. rewrites, when not "", is what the
// section says; the specification's own word wins.
func New(s spec.Spec, rewrites core.RewritePolicy) (Policy, error) {
	p := Policy{rewrites: rewrites, prune: s.Prune}
	if s.Rewrites != core.RewriteByRefspec {
		p.rewrites = s.Rewrites
	}
	texts := s.Refspecs
	for _, pattern := range s.RefPatterns {
		pattern = full(pattern)
		if wide := widened(pattern); wide != pattern {
			p.only = []string{}
			pattern = wide
		}
		texts = append(texts, pattern)
	}
	if p.only != nil {
		for _, pattern := range s.RefPatterns {
			p.only = append(p.only, full(pattern))
		}
	}
	positive := 0
	for _, text := range texts {
		r, err := spec.ParseRefspec(text)
		if err != nil {
			return Policy{}, err
		}
		if r.Negative {
			p.leave = append(p.leave, full(r.Src))
			continue
		}
		positive++
		p.take = append(p.take, r)
	}
	if positive == 0 {
		for _, text := range spec.DefaultRefspecs() {
			r, err := spec.ParseRefspec(text)
			if err != nil {
				return Policy{}, err
			}
			p.take = append(p.take, r)
		}
	}
	for _, pattern := range s.IgnorePatterns {
		p.leave = append(p.leave, full(pattern))
	}
	for _, r := range p.take {
		if strings.HasPrefix(r.Src, keptPrefix) || strings.HasPrefix(r.Dst, keptPrefix) {
			return Policy{}, fmt.Errorf("refs below %s are this program's own and cannot be mirrored", keptPrefix)
		}
	}
	sort.SliceStable(p.take, func(i, j int) bool { return !isPattern(p.take[i].Src) && isPattern(p.take[j].Src) })
	return p, nil
}

// Rewrites is what happens with a ref that was rewritten upstream.
func (p Policy) Rewrites() core.RewritePolicy { return p.rewrites }

// Approve lets single rewrites through, by downstream ref. An admin's word for
// one rewrite goes before any policy, and is not part of Key: it passes with the
// job. It is for what the admin saw: not once somebody else has changed the ref.
func (p Policy) Approve(approved map[string]Rewrite) Policy {
	p.approved = approved
	return p
}

// Prune reports whether refs that vanished upstream are to go downstream.
func (p Policy) Prune() bool { return p.prune }

// Renames reports whether some refs have other names downstream.
func (p Policy) Renames() bool {
	return slices.ContainsFunc(p.take, func(r spec.Refspec) bool { return r.Src != r.Dst })
}

// Key is a text that changes when the policy does.
func (p Policy) Key() string {
	// The fields are plain, so that this cannot fail.
	fields := []any{p.take, p.leave, p.rewrites, p.prune}
	if len(p.only) > 0 {
		fields = append(fields, p.only)
	}
	text, _ := json.Marshal(fields)
	return string(text)
}

// Mirrors reports whether an upstream ref belongs into the working area: every
// branch and tag, and what the refspecs name besides. The working area's own
// refs never do, however wide a refspec is.
func (p Policy) Mirrors(name string) bool {
	if own(name) {
		return false
	}
	if strings.HasPrefix(name, "refs/heads/") || strings.HasPrefix(name, "refs/tags/") {
		return true
	}
	for _, src := range p.others() {
		if _, ok := match(src, name); ok {
			return true
		}
	}
	return false
}

// own reports whether a ref is the working area's own, or stands in the way of
// such.
func own(name string) bool { return strings.HasPrefix(name+"/", keptPrefix) }

// others are the sources beyond branches and tags.
func (p Policy) others() []string {
	var list []string
	for _, r := range p.take {
		if strings.HasPrefix(r.Src, "refs/") && !strings.HasPrefix(r.Src, "refs/heads/") && !strings.HasPrefix(r.Src, "refs/tags/") {
			list = append(list, r.Src)
		}
	}
	return list
}

// Prefixes are the beginnings of all names that Mirrors accepts.
func (p Policy) Prefixes() []string {
	list := []string{"refs/heads/", "refs/tags/"}
	for _, src := range p.others() {
		prefix, _, _ := strings.Cut(src, "*")
		list = append(list, prefix)
	}
	return list
}

// FetchRefspecs bring exactly what Mirrors accepts, under the same names.
func (p Policy) FetchRefspecs() []string {
	list := []string{"+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"}
	for _, src := range p.others() {
		list = append(list, "+"+src+":"+src)
	}
	if len(list) > 2 {
		list = append(list, "^"+strings.TrimSuffix(keptPrefix, "/"), "^"+keptPrefix+"*")
	}
	return list
}

// Wanted gives the refs that downstream shall have, by name, when the working
// area has the given ones. missing names the refspecs without a pattern whose
// ref does not exist.
func (p Policy) Wanted(refs map[string]string) (wanted []Wanted, missing []string) {
	wanted, missing, _ = p.assign(refs)
	return wanted, missing
}

func (p Policy) assign(refs map[string]string) (wanted []Wanted, missing []string, over []Over) {
	names := make([]string, 0, len(refs))
	for name := range refs {
		if !p.left(name) && !own(name) {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	seen := make(map[string]string)
	add := func(r spec.Refspec, src, dst string) {
		switch first, taken := seen[dst]; {
		case taken && first != src:
			over = append(over, Over{Src: src, For: first, Dst: dst})
		case !taken:
			seen[dst] = src
			w := Wanted{Dst: dst, Src: src, Object: refs[src], Force: p.force(r)}
			if approved := p.approved[Told(dst)]; !w.Force && w.Object != "" && approved.New == w.Object {
				w.Force, w.From = true, approved.Old
			}
			wanted = append(wanted, w)
		}
	}
	for _, r := range p.take {
		if !isPattern(r.Src) {
			src := resolve(r.Src, refs)
			switch {
			case src == "":
				missing = append(missing, r.Src)
			case !p.left(src):
				add(r, src, qualify(r.Dst, src))
			}
			continue
		}
		pattern := full(r.Src)
		for _, name := range names {
			if rest, ok := match(pattern, name); ok {
				add(r, name, strings.Replace(qualify(r.Dst, pattern), "*", rest, 1))
			}
		}
	}
	sort.Slice(wanted, func(i, j int) bool { return wanted[i].Dst < wanted[j].Dst })
	return wanted, missing, over
}

func (p Policy) force(r spec.Refspec) bool {
	switch p.rewrites {
	case core.RewriteForce:
		return true
	case core.RewriteHold, core.RewriteRefuse:
		return false
	}
	return r.Force
}

func (p Policy) left(name string) bool {
	for _, pattern := range p.leave {
		if glob(pattern, name) {
			return true
		}
	}
	return len(p.only) > 0 && !slices.ContainsFunc(p.only, func(pattern string) bool { return glob(pattern, name) })
}

// widened is a pattern of which git can do with its one "*" at most, and which
// takes in all that the given one does.
func widened(pattern string) string {
	if i := strings.IndexAny(pattern, "*?"); i >= 0 && (strings.Contains(pattern, "?") || strings.Count(pattern, "*") > 1) {
		return pattern[:i] + "*"
	}
	return pattern
}

func isPattern(name string) bool { return strings.Contains(name, "*") }

// full makes a pattern that does not say where it belongs one of branches.
func full(pattern string) string {
	if strings.HasPrefix(pattern, "refs/") {
		return pattern
	}
	return "refs/heads/" + pattern
}

// resolve finds the ref that a name means; a branch goes before a tag.
func resolve(name string, refs map[string]string) string {
	for _, prefix := range []string{"", "refs/heads/", "refs/tags/", "refs/"} {
		if strings.HasPrefix(prefix+name, "refs/") && refs[prefix+name] != "" {
			return prefix + name
		}
	}
	return ""
}

// qualify completes a destination: it is of the same sort as its source.
func qualify(dst, src string) string {
	if strings.HasPrefix(dst, "refs/") {
		return dst
	}
	if strings.HasPrefix(src, "refs/tags/") {
		return "refs/tags/" + dst
	}
	return "refs/heads/" + dst
}

// match compares a name with a pattern of at most one "*", and gives what the
// star stands for.
func match(pattern, name string) (string, bool) {
	head, tail, star := strings.Cut(pattern, "*")
	if !star {
		return "", pattern == name
	}
	if len(name) < len(head)+len(tail) || !strings.HasPrefix(name, head) || !strings.HasSuffix(name, tail) {
		return "", false
	}
	return name[len(head) : len(name)-len(tail)], true
}

// glob compares a name with a pattern in which any number of "*" and "?" stand
// for any characters and for one.
func glob(pattern, name string) bool {
	p, n, star, mark := 0, 0, -1, 0
	for n < len(name) {
		switch {
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]) && pattern[p] != '*':
			p, n = p+1, n+1
		case p < len(pattern) && pattern[p] == '*':
			star, mark, p = p, n, p+1
		case star >= 0:
			mark++
			p, n = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
