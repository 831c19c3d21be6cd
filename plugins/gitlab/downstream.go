package gitlab

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"strconv"

	"github.com/lorry-controller/lorry-controller/plugins/internal/httpforge"
	"github.com/lorry-controller/lorry-controller/sdk"
)

// maxDescription is what GitLab takes, in characters.
const maxDescription = 2000

// Ensure implements sdk.Downstream. A project that is there and as it should be
// costs one request.
func (a *Adapter) Ensure(ctx context.Context, want sdk.Want) (sdk.Have, error) {
	if err := a.check(want); err != nil {
		return sdk.Have{}, err
	}
	p, err := a.project(ctx, want.Path)
	switch {
	case httpforge.IsNotFound(err):
		return a.create(ctx, want)
	case err != nil:
		return sdk.Have{}, httpforge.TellMoved(err)
	}
	return a.update(ctx, p, want)
}

// AfterPush implements sdk.AfterPusher: the default branch must have arrived
// before GitLab takes it.
func (a *Adapter) AfterPush(ctx context.Context, want sdk.Want) error {
	if err := a.check(want); err != nil {
		return err
	}
	p, err := a.project(ctx, want.Path)
	if err != nil {
		return httpforge.TellMoved(err)
	}
	if p.readOnly() != "" {
		return nil
	}
	changes := map[string]any{}
	httpforge.Describe(changes, want, p.Description, maxDescription)
	if len(changes) > 0 {
		if err := a.change(ctx, p, changes, nil); err != nil {
			return err
		}
	}
	if branch := httpforge.Branch(want.Head); branch != "" && branch != p.DefaultBranch {
		if err := a.setDefault(ctx, p, branch); err != nil {
			return err
		}
	}
	if a.settings.UnprotectBranches {
		return a.unprotect(ctx, p)
	}
	return nil
}

// Retire implements sdk.Retirer: the project is archived, which makes it
// read-only and keeps everything.
func (a *Adapter) Retire(ctx context.Context, path string) error {
	if checkName(path) != nil {
		return nil // the host has nothing by such a name, which configuration has told of
	}
	p, err := a.project(ctx, path)
	switch {
	case httpforge.Gone(err):
		return nil // what has the path no more is somebody else's
	case err != nil:
		return err
	case p.Archived || p.deleted() != "":
		return nil
	}
	return a.archive(ctx, p, true)
}

// archive makes a project read-only, or undoes that.
func (a *Adapter) archive(ctx context.Context, p *project, yes bool) error {
	do, what := "archive", "archiving project "
	if !yes {
		do, what = "unarchive", "unarchiving project "
	}
	_, err := a.api.Do(ctx, httpforge.Request{
		Method: http.MethodPost, Path: []string{"projects", number(p.ID), do}, What: what + strconv.Quote(p.Path),
	}, nil)
	switch {
	case err == nil:
		p.Archived = yes
		return nil
	case sdk.KindOf(err) == sdk.Denied:
		err = sdk.WithHint(err, "GitLab lets only a project's owners and admins archive and unarchive it: give the token's account the role Owner, or do it by hand")
	}
	return httpforge.About(err, p.Path)
}

// check refuses what can never work.
func (a *Adapter) check(want sdk.Want) error {
	if err := checkName(want.Path); err != nil {
		return err
	}
	return httpforge.CheckHead(want)
}

// wanted gives the visibility for something new.
func (a *Adapter) wanted(want sdk.Want) sdk.Visibility {
	return httpforge.Visibility(want, a.settings.Visibility)
}

// create makes a project and the groups that it needs.
func (a *Adapter) create(ctx context.Context, want sdk.Want) (sdk.Have, error) {
	parent, name := path.Dir(want.Path), path.Base(want.Path)
	ns, err := a.ensureNamespace(ctx, parent, a.wanted(want))
	if err != nil {
		return sdk.Have{}, httpforge.About(err, want.Path)
	}
	visibility := httpforge.Clamp(a.wanted(want), ns.visibility)
	body := map[string]any{
		"name": displayName(name), "path": name, "namespace_id": ns.id, "visibility": string(visibility),
		"initialize_with_readme": false,
		// With LFS on, GitLab refuses pointers whose objects are not there.
		"lfs_enabled":           want.LFS,
		"issues_access_level":   "disabled",
		"builds_access_level":   "disabled",
		"wiki_access_level":     "disabled",
		"packages_enabled":      false,
		"snippets_access_level": "disabled", "merge_requests_access_level": "disabled",
	}
	if d := httpforge.Description(want.Description, maxDescription); d != "" {
		body["description"] = d
	}
	var p project
	what := "project " + strconv.Quote(want.Path)
	_, err = a.api.Do(ctx, httpforge.Request{Method: http.MethodPost, Path: []string{"projects"}, Body: body, What: what}, &p)
	switch {
	case err == nil:
		have, err := a.have(&p)
		have.Created = true
		if visibility != a.wanted(want) {
			have.Unsupported = append(have.Unsupported, "visibility")
		}
		return have, err
	case taken(err) || sdk.KindOf(err) == sdk.Conflict:
		return a.lostRace(ctx, want, err)
	case httpforge.IsNotFound(err):
		a.namespaces.forget(parent) // it has gone since we saw it
		return sdk.Have{}, httpforge.About(err, want.Path)
	case sdk.KindOf(err) == sdk.Denied:
		err = sdk.WithHint(err, "give the token the scope api, and its account the role Maintainer in "+strconv.Quote(parent))
	case httpforge.Says(err, "visibility"):
		a.namespaces.forget(parent)
		err = sdk.WithHint(err, "an admin of the GitLab has restricted this visibility: choose another one")
	}
	return sdk.Have{}, httpforge.About(err, want.Path)
}

// lostRace looks for the project that somebody else has just made.
func (a *Adapter) lostRace(ctx context.Context, want sdk.Want, cause error) (sdk.Have, error) {
	p, err := a.project(ctx, want.Path)
	switch {
	case err == nil:
		return a.update(ctx, p, want)
	case httpforge.IsNotFound(err):
		return sdk.Have{}, sdk.WithHint(
			&sdk.Error{Kind: sdk.Conflict, Fact: cause.Error(), Subject: want.Path, Err: cause},
			"something hidden has the name: a project that waits for its deletion, one that the token's account can't see, or a neighbour with the same title")
	default:
		return sdk.Have{}, httpforge.TellMoved(err)
	}
}

// update brings a project in line, as far as anything can be changed.
func (a *Adapter) update(ctx context.Context, p *project, want sdk.Want) (sdk.Have, error) {
	if want.Revive && p.Archived && p.deleted() == "" {
		if err := a.archive(ctx, p, false); err != nil {
			return sdk.Have{}, err
		}
	}
	have, err := a.have(p)
	if err != nil || have.ReadOnlyReason != "" {
		return have, err
	}
	changes := map[string]any{}
	httpforge.Describe(changes, want, p.Description, maxDescription)
	if want.LFS != p.LFS {
		changes["lfs_enabled"] = want.LFS
	}
	if v := want.Visibility; v != sdk.VisibilityUnknown && v != p.visibility() {
		if httpforge.Rank(v) > httpforge.Rank(p.visibility()) && p.Namespace.Kind != "user" {
			ns, err := a.namespace(ctx, p.Namespace.Path)
			if err != nil {
				return sdk.Have{}, httpforge.About(err, want.Path)
			}
			v = httpforge.Clamp(v, ns.visibility)
		}
		if v != p.visibility() {
			changes["visibility"] = string(v)
		}
		if v != want.Visibility {
			have.Unsupported = append(have.Unsupported, "visibility")
		}
	}
	if len(changes) == 0 {
		return have, nil
	}
	return have, a.change(ctx, p, changes, nil)
}

func (a *Adapter) change(ctx context.Context, p *project, changes map[string]any, out any) error {
	_, err := a.api.Do(ctx, httpforge.Request{
		Method: http.MethodPut, Path: []string{"projects", number(p.ID)}, Body: changes, What: "changing project " + strconv.Quote(p.Path),
	}, out)
	return httpforge.About(err, p.Path)
}

// setDefault chooses the default branch and makes sure that GitLab did.
func (a *Adapter) setDefault(ctx context.Context, p *project, branch string) error {
	var after project
	err := a.change(ctx, p, map[string]any{"default_branch": branch}, &after)
	if err != nil && sdk.KindOf(err) != sdk.Invalid {
		return err
	}
	if err == nil && after.DefaultBranch == branch {
		return nil
	}
	fact := fmt.Sprintf("project %q: GitLab keeps the default branch %q and does not take %q", p.Path, p.DefaultBranch, branch)
	return sdk.WithHint(&sdk.Error{Kind: sdk.NotFound, Fact: fact, Subject: p.Path, Err: err}, "has the branch arrived, or does a refspec leave it out?")
}

// unprotect removes every protection of branches.
func (a *Adapter) unprotect(ctx context.Context, p *project) error {
	what := "protected branches of project " + strconv.Quote(p.Path)
	list := []string{"projects", number(p.ID), "protected_branches"}
	var names []string
	type protected struct {
		Name string `json:"name"`
	}
	req := httpforge.Request{Path: list, Query: query("per_page", perPage), What: what}
	for page, err := range httpforge.Pages(ctx, a.api, req, next[[]protected]) {
		if err != nil {
			return httpforge.About(err, p.Path)
		}
		for _, b := range page {
			names = append(names, b.Name)
		}
	}
	for _, name := range names {
		_, err := a.api.Do(ctx, httpforge.Request{Method: http.MethodDelete, Path: append(list[:3:3], name), What: what}, nil)
		switch {
		case err == nil:
			a.log.Info("removed a branch's protection, as unprotect-branches says", "project", p.Path, "branch", name)
		case httpforge.IsNotFound(err): // somebody was faster
		case sdk.KindOf(err) == sdk.Denied:
			return sdk.WithHint(httpforge.About(err, p.Path), "give the token's account the role Maintainer")
		default:
			return httpforge.About(err, p.Path)
		}
	}
	return nil
}

// have describes a project that is there.
func (a *Adapter) have(p *project) (sdk.Have, error) {
	cloneURL, err := a.site.CloneURL(p.Path, p.SSHURL)
	if err != nil {
		return sdk.Have{}, err
	}
	return sdk.Have{Access: a.access(cloneURL), ReadOnlyReason: p.readOnly()}, nil
}

// readOnly says why a push is going to be refused, or "".
func (p *project) readOnly() string {
	switch {
	case p.deleted() != "":
		return "the project is marked for deletion on " + p.deleted()
	case p.Archived:
		return "the project is archived"
	case p.Mirror:
		return "the project is a pull mirror that GitLab fills itself"
	case p.disabled():
		return "the project's repository is switched off"
	default:
		return ""
	}
}
