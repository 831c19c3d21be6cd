package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/confgit"
	"github.com/lorry-controller/lorry-controller/core/spec"
)

// mapper says where the repositories of a host are mirrored to.
type mapper struct {
	rules  []core.PrefixRule
	ignore []confgit.Pattern
}

func newMapper(h core.Host) (mapper, error) {
	m := mapper{rules: h.Prefixes}
	for _, text := range h.Ignore {
		p, err := confgit.CompilePattern(text)
		if err != nil {
			return m, err
		}
		m.ignore = append(m.ignore, p)
	}
	return m, nil
}

// path gives the downstream path of a repository, or false for one that the
// section leaves out.
func (m mapper) path(upstream string) (string, bool) {
	if slices.ContainsFunc(m.ignore, func(p confgit.Pattern) bool { return p.Match(upstream) }) {
		return "", false
	}
	return confgit.MapPath(m.rules, upstream)
}

// item is a repository of a listing that is to be mirrored. It is much smaller
// than its Lorry.
type item struct {
	path, hostPath, url, head, description string
	// keep is set when the host has the repository, but there is nothing to
	// mirror now: a Lorry that is there stays as it is.
	keep bool
}

// listing is what came of listing a host, in the order of paths. It is the
// wanted Lorries of the host's section.
type listing struct {
	host     core.Host
	items    []item
	total    int // repositories that were listed, mirrored or not
	problems []core.Problem
	more     int // problems that are not in the list
	err      error
}

func (l *listing) count() int        { return len(l.items) }
func (l *listing) path(i int) string { return l.items[i].path }

// mirrored counts those that have something to mirror.
func (l *listing) mirrored() (n int) {
	for _, it := range l.items {
		if !it.keep {
			n++
		}
	}
	return n
}

// lorry makes the Lorry of a repository, as the original wrote it.
func (l *listing) lorry(i int) (core.Lorry, bool) {
	it, h := l.items[i], l.host
	if it.keep {
		return core.Lorry{}, false
	}
	s := spec.Generated(core.Access{URL: it.url, SkipCertificates: h.SkipCertificates})
	s.Prune, s.LFS = h.Prune, spec.LFS(h.LFS)
	description := ""
	if it.description != "" {
		description = h.Name + ": " + it.description
	}
	return core.Lorry{
		Path: it.path, Text: s.Text(it.path), Section: confgit.HostSection(h.Name),
		Host: h.Name, HostPath: it.hostPath, UpstreamHost: cmp.Or(s.UpstreamHost(), strings.ToLower(h.Name)), Repository: core.RepositoryName(it.url),
		Interval: h.Interval, Timeout: h.Timeout, Rewrites: h.Rewrites,
		ListedHead: it.head, ListedDescription: description,
	}, true
}

// problem notes a repository that can't be mirrored; the first few are told.
func (l *listing) problem(format string, args ...any) {
	const most = 10
	if len(l.problems) == most {
		l.more++
		return
	}
	l.problems = append(l.problems, core.Problem{
		File: confgit.ConfFile, Key: l.host.Name, Message: fmt.Sprintf(format, args...), Severity: core.SeverityWarning,
	})
}

// list asks a host for its repositories.
func (r *Reconciler) list(ctx context.Context, h core.Host) *listing {
	l := &listing{host: h}
	m, err := newMapper(h)
	if err != nil {
		l.err = err
		return l
	}
	up, err := r.opts.Upstreams.Upstream(h.Name)
	if err != nil {
		l.err = err
		return l
	}
	late := core.Errorf(core.KindUnavailable, "listing the host took longer than %s", r.opts.ListTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, r.opts.ListTimeout, late)
	defer cancel()
	for repo, err := range up.Repos(ctx) {
		if err != nil {
			l.err = err
			break
		}
		l.total++
		l.add(m, repo)
	}
	if ctx.Err() != nil {
		l.err = context.Cause(ctx) // a listing that just stopped is not complete
	}
	l.sort()
	return l
}

// add takes a repository in if the section wants it.
func (l *listing) add(m mapper, repo core.Repo) {
	path, ok := m.path(repo.Path)
	if !ok || repo.Disabled {
		return
	}
	it := item{path: path, hostPath: repo.Path, head: repo.Head, description: repo.Description, keep: repo.Empty}
	if err := spec.CheckPath(path); err != nil {
		l.problem("%q can't be mirrored: %v", repo.Path, err)
		return
	}
	if !it.keep {
		access, err := spec.ParseAddress(spec.Git, repo.CloneURL)
		if err != nil {
			l.problem("%q can't be mirrored: %v", repo.Path, err)
			it.keep = true
		}
		it.url = access.URL
	}
	l.items = append(l.items, it)
}

// sort puts the items in order. Of two that have the same path, the one whose
// upstream path comes first is used.
func (l *listing) sort() {
	slices.SortFunc(l.items, func(a, b item) int {
		if c := strings.Compare(a.path, b.path); c != 0 {
			return c
		}
		return strings.Compare(a.hostPath, b.hostPath)
	})
	kept := l.items[:0]
	for _, it := range l.items {
		if n := len(kept); n > 0 && kept[n-1].path == it.path {
			l.problem("%q and %q are both mapped to %q; the first one is mirrored", kept[n-1].hostPath, it.hostPath, it.path)
			continue
		}
		kept = append(kept, it)
	}
	clear(l.items[len(kept):])
	l.items = kept
}

// drop takes out the items whose paths somebody else has: a .lorry file, or a
// host whose section comes later in CONFGIT.
func (r *Reconciler) drop(ctx context.Context, c *confgit.Config, l *listing) error {
	owner := make(map[int]string)
	next := 0
	for path, section := range c.Written() {
		l.take(&next, path, owner, section)
	}
	self := slices.IndexFunc(c.Hosts, func(h core.Host) bool { return h.Name == l.host.Name })
	for _, other := range c.Hosts[self+1:] {
		if !overlap(l.host.Prefixes, other.Prefixes) {
			continue
		}
		next, section := 0, confgit.HostSection(other.Name)
		err := r.stored(ctx, section, func(lorry core.Lorry) error {
			if !handedOver(lorry) { // that host may not have it
				l.take(&next, lorry.Path, owner, section)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if len(owner) == 0 {
		return nil
	}
	kept := l.items[:0]
	for i, it := range l.items {
		if section, taken := owner[i]; taken {
			l.problem("%q is mapped to %q, which %s gives as well; the latter is used", it.hostPath, it.path, section)
			continue
		}
		kept = append(kept, it)
	}
	clear(l.items[len(kept):])
	l.items = kept
	return nil
}

// take notes the owner of a path if an item has it. Paths come in order.
func (l *listing) take(next *int, path string, owner map[int]string, section string) {
	for *next < len(l.items) && l.items[*next].path < path {
		*next++
	}
	if *next < len(l.items) && l.items[*next].path == path {
		owner[*next] = section
	}
}

// overlap reports whether two maps can give the same path.
func overlap(a, b []core.PrefixRule) bool {
	below := func(path, prefix string) bool {
		return prefix == "" || path == prefix || strings.HasPrefix(path, prefix+"/")
	}
	for _, x := range a {
		for _, y := range b {
			if below(x.To, y.To) || below(y.To, x.To) {
				return true
			}
		}
	}
	return false
}
