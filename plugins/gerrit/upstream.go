package gerrit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/lorry-controller/lorry-controller/sdk"
)

// pageSize is how many projects are asked for at a time; Gerrit's own limit for
// a query is 500 unless an admin changed it.
const pageSize = 500

// Repos implements sdk.Upstream.
func (a *Adapter) Repos(ctx context.Context, _ sdk.Query) iter.Seq2[sdk.Repo, error] {
	return func(yield func(sdk.Repo, error) bool) {
		if err := a.list(ctx, func(r sdk.Repo) bool { return yield(r, nil) }); err != nil {
			yield(sdk.Repo{}, err)
		}
	}
}

// list walks through the list of all projects. Each page begins with the last
// project of the one before: when that is another one by now, projects have
// come or gone and the pages do not fit together.
func (a *Adapter) list(ctx context.Context, take func(sdk.Repo) bool) error {
	last := ""
	for start := 0; ; {
		w := window{start: start, count: pageSize}
		page, err := a.api.projects(ctx, w)
		if err != nil {
			return err
		}
		more := len(page) >= w.count || slices.ContainsFunc(page, func(p project) bool { return p.More })
		fresh := page
		if last != "" {
			if len(page) == 0 || page[0].name != last {
				return sdk.Incomplete("projects came or went while they were listed")
			}
			fresh = page[1:]
		}
		if len(fresh) > 0 {
			if enough, err := a.page(ctx, w, fresh, take); enough || err != nil {
				return err
			}
			last = fresh[len(fresh)-1].name
		}
		switch {
		case !more:
			return nil
		case len(fresh) == 0:
			if len(page) < w.count {
				return sdk.Errorf(sdk.Internal, "%s says that there are more projects but does not list them", a.name)
			}
			return nil
		}
		start += len(page) - 1
	}
}

// page gives the projects of one window to take.
func (a *Adapter) page(ctx context.Context, w window, list []project, take func(sdk.Repo) bool) (enough bool, err error) {
	w.permissionsOnly = true
	empty, err := a.api.projects(ctx, w)
	if err != nil {
		return false, err
	}
	noCode := map[string]bool{}
	for _, p := range empty {
		noCode[p.name] = true
	}
	hints, err := a.hints(ctx, w)
	if err != nil {
		return false, err
	}
	for _, p := range list {
		if builtIn(p.name) || noCode[p.name] || p.State == hidden || !a.wanted(p) {
			continue
		}
		if err := checkName(p.name); err != nil {
			a.log.Warn("left out a project that can't be mirrored", "project", p.name, "error", err)
			continue
		}
		access, err := a.access(p.name)
		if err != nil {
			return false, err
		}
		r := repo(p, access)
		r.ChangeHint = hints[p.name]
		if !take(r) {
			return true, nil
		}
	}
	return false, nil
}

func (a *Adapter) wanted(p project) bool {
	archived := p.State == readOnly
	return a.settings.Archived == "include" || archived == (a.settings.Archived == "only")
}

// hints gives a digest of the commits of some branches, by project.
func (a *Adapter) hints(ctx context.Context, w window) (map[string]string, error) {
	if len(a.settings.HintBranches) == 0 {
		return nil, nil
	}
	w.permissionsOnly, w.branches = false, a.settings.HintBranches
	list, err := a.api.projects(ctx, w)
	if err != nil {
		return nil, err
	}
	hints := map[string]string{}
	for _, p := range list {
		if len(p.Branches) == 0 {
			continue
		}
		sum := sha256.New()
		for _, branch := range slices.Sorted(maps.Keys(p.Branches)) {
			_, _ = fmt.Fprintf(sum, "%s %s\n", branch, p.Branches[branch])
		}
		hints[p.name] = hex.EncodeToString(sum.Sum(nil)[:16])
	}
	return hints, nil
}

func repo(p project, access sdk.Access) sdk.Repo {
	return sdk.Repo{Path: p.name, CloneURL: access.URL, Description: p.Description, Archived: p.State == readOnly}
}

// Repo implements sdk.Upstream.
func (a *Adapter) Repo(ctx context.Context, path string) (sdk.Repo, sdk.Access, error) {
	if err := checkName(path); err != nil {
		return sdk.Repo{}, sdk.Access{}, err
	}
	p, err := a.api.project(ctx, path)
	if err != nil {
		return sdk.Repo{}, sdk.Access{}, err
	}
	head, err := a.api.head(ctx, path)
	if err != nil && sdk.KindOf(err) != sdk.Denied && sdk.KindOf(err) != sdk.NotFound {
		return sdk.Repo{}, sdk.Access{}, err
	}
	access, err := a.access(path)
	if err != nil {
		return sdk.Repo{}, sdk.Access{}, err
	}
	r := repo(p, access)
	r.Head = head
	return r, access, nil
}
