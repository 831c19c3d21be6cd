package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/confgit"
)

// namesPatience bounds a check of names: what can't be told in this time is
// asked again when CONFGIT is read or a host was listed the next time.
const namesPatience = 20 * time.Second

// mostNames is how many names of one section are told; the others are counted.
const mostNames = 20

// name is a path and who gives it.
type name struct {
	path, section, hostPath string
}

// checkNames asks the Downstream Host what it makes of all paths, if they have
// changed since it was asked, and stores what is wrong with them. A Downstream
// Host that can't tell now is asked again later: its own jobs fail meanwhile.
func (r *Reconciler) checkNames(ctx context.Context) {
	if r.opts.Names == nil {
		return
	}
	r.naming.Lock()
	defer r.naming.Unlock()
	r.mu.Lock()
	wanted, c := !r.named, r.config
	r.named = true
	r.mu.Unlock()
	if !wanted || c == nil {
		return
	}
	problems, clashes, err := r.findNames(ctx, c)
	r.mu.Lock()
	if err != nil {
		told := r.namesErr == err.Error()
		r.named, r.namesErr = false, err.Error()
		r.mu.Unlock()
		if !told && ctx.Err() == nil {
			r.log.Warn("the Downstream Host can't be asked about names yet", "err", err)
		}
		return
	}
	r.stale = r.stale || !slices.Equal(r.names, problems)
	r.names, r.taken, r.namesErr = problems, clashes, ""
	r.mu.Unlock()
	if err := r.storeClashes(ctx, c); err != nil && ctx.Err() == nil {
		r.log.Warn("the problems with names can't be stored yet", "err", err)
	}
}

// findNames gives the problems with names, and of each Lorry that is mirrored
// to the same place as another one the path of that.
func (r *Reconciler) findNames(ctx context.Context, c *confgit.Config) ([]core.Problem, map[string]string, error) {
	names, err := r.allNames(ctx, c)
	if err != nil {
		return nil, nil, err
	}
	late := core.Errorf(core.KindUnavailable, "checking %d names took longer than %s", len(names), namesPatience)
	ctx, cancel := context.WithTimeoutCause(ctx, namesPatience, late)
	defer cancel()
	problems, taken, err := checkAll(ctx, r.opts.Names, c, names)
	if err != nil && context.Cause(ctx) == late { //nolint:errorlint // this very one
		err = late
	}
	return problems, taken, err
}

// allNames gives the paths of all Lorries in the order in which they win: first
// those of .lorry files, then those of hosts.
func (r *Reconciler) allNames(ctx context.Context, c *confgit.Config) ([]name, error) {
	sections, err := r.opts.Store.Sections(ctx)
	if err != nil {
		return nil, err
	}
	names := writtenNames(c)
	for _, section := range sections {
		if _, isHost := confgit.HostOfSection(section); !isHost {
			continue
		}
		if err := r.stored(ctx, section, func(l core.Lorry) error {
			names = append(names, name{l.Path, section, l.HostPath})
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// writtenNames gives the paths of the Lorries of .lorry files.
func writtenNames(c *confgit.Config) []name {
	var names []name
	for path, section := range c.Written() {
		names = append(names, name{path: path, section: section})
	}
	return names
}

// CheckNames gives what is wrong with the paths of a CONFGIT's .lorry files on
// a Downstream Host, as far as that needs no listing.
func CheckNames(ctx context.Context, ask Names, c *confgit.Config) ([]core.Problem, error) {
	problems, _, err := checkAll(ctx, ask, c, writtenNames(c))
	return problems, err
}

func checkAll(ctx context.Context, ask Names, c *confgit.Config, names []name) ([]core.Problem, map[string]string, error) {
	paths := make([]string, len(names))
	for i, n := range names {
		paths[i] = n.path
	}
	verdicts, err := ask(ctx, paths)
	if err != nil || len(verdicts) == 0 {
		return nil, nil, err
	}
	if len(verdicts) != len(names) {
		return nil, nil, core.Errorf(core.KindInternal, "there are %d verdicts on %d names", len(verdicts), len(names))
	}
	l := nameList{config: c, count: map[string]int{}}
	owner, taken := map[string]string{}, map[string]string{}
	for i, v := range verdicts {
		n := names[i]
		if v.Problem != "" {
			l.add(n, strings.TrimSuffix(v.Problem+"; "+v.Hint, "; "))
			continue
		}
		first, again := owner[v.Normal]
		if !again {
			owner[v.Normal] = n.path
			continue
		}
		taken[n.path] = first
		l.add(n, fmt.Sprintf("mirrors to the same path as %q: both are %q to the Downstream Host; this one is not mirrored until it has another path", first, v.Normal))
	}
	return l.end(), taken, nil
}

// nameList collects problems with names, a few for each section.
type nameList struct {
	config   *confgit.Config
	problems []core.Problem
	count    map[string]int // by section
}

func (l *nameList) add(n name, fault string) {
	if l.count[n.section]++; l.count[n.section] > mostNames {
		return
	}
	p := core.Problem{File: confgit.ConfFile, Severity: core.SeverityError, Message: fmt.Sprintf("path %q: %s", n.path, fault)}
	if host, isHost := confgit.HostOfSection(n.section); isHost {
		p.Key = host
		if n.hostPath != "" && n.hostPath != n.path {
			p.Message = fmt.Sprintf("path %q, from %q: %s", n.path, n.hostPath, fault)
		}
	} else if at, known := l.config.Places[n.path]; known {
		p.File, p.Line, p.Key = at.File, at.Line, at.Key
	}
	l.problems = append(l.problems, p)
}

// end gives the problems in the order of files, with what was only counted.
func (l *nameList) end() []core.Problem {
	for section, n := range l.count {
		if n <= mostNames {
			continue
		}
		key, _ := confgit.HostOfSection(section)
		l.problems = append(l.problems, core.Problem{
			File: confgit.ConfFile, Key: key, Severity: core.SeverityError,
			Message: fmt.Sprintf("%d more paths of %s can't be on the Downstream Host", n-mostNames, section),
		})
	}
	slices.SortStableFunc(l.problems, func(a, b core.Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), strings.Compare(a.Key, b.Key), strings.Compare(a.Message, b.Message))
	})
	return l.problems
}

// Taken gives the path of the Lorry that is mirrored to the very repository to
// which this one would be, or "". The two are told apart by CONFGIT alone.
func (r *Reconciler) Taken(path string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.taken[path]
}
