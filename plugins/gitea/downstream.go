package gitea

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/plugins/internal/httpforge"
	"github.com/lorry-controller/lorry-controller/sdk"
)

// Limits of what the forge takes, in characters.
const (
	maxDescription = 2048
	maxBranch      = 100
)

// How long a forge may take to notice a first push, and how often it is asked.
const (
	noticePatience = 3 * time.Second
	noticePause    = 150 * time.Millisecond
)

// Ensure implements sdk.Downstream. A repository that is there and as it should
// be costs one request.
func (a *Adapter) Ensure(ctx context.Context, want sdk.Want) (sdk.Have, error) {
	if err := a.check(want); err != nil {
		return sdk.Have{}, err
	}
	r, err := a.repository(ctx, want.Path)
	switch {
	case httpforge.IsNotFound(err):
		return a.create(ctx, want)
	case err != nil:
		return sdk.Have{}, httpforge.TellMoved(err)
	}
	return a.update(ctx, r, want)
}

// AfterPush implements sdk.AfterPusher. The forge answers "200" to a default
// branch that it does not take, so the repository is read again. One that the
// forge still takes for empty would answer well too but keep its HEAD, so the
// forge is first given time to notice the push.
func (a *Adapter) AfterPush(ctx context.Context, want sdk.Want) error {
	if err := a.check(want); err != nil {
		return err
	}
	branch := httpforge.Branch(want.Head)
	r, err := a.noticed(ctx, want.Path, branch != "")
	if err != nil {
		return httpforge.TellMoved(err)
	}
	if r.readOnly() != "" {
		return nil
	}
	changes := map[string]any{}
	httpforge.Describe(changes, want, r.Description, maxDescription)
	if branch != "" && branch != r.DefaultBranch {
		changes["default_branch"] = branch
	}
	if len(changes) == 0 {
		return nil
	}
	if err := a.change(ctx, r.FullName, changes); err != nil {
		return err
	}
	if changes["default_branch"] == nil {
		return nil
	}
	after, err := a.repository(ctx, want.Path)
	switch {
	case err != nil:
		return httpforge.TellMoved(err)
	case after.DefaultBranch != branch:
		return sdk.WithHint(&sdk.Error{
			Kind: sdk.NotFound, Subject: want.Path,
			Fact: fmt.Sprintf("repository %q keeps the default branch %q and does not take %q", want.Path, after.DefaultBranch, branch),
		}, "has the branch arrived, or does a refspec leave it out?")
	}
	return nil
}

// noticed asks for a repository until the forge has noticed that it has
// branches, when that matters.
func (a *Adapter) noticed(ctx context.Context, path string, matters bool) (*repository, error) {
	patience := time.NewTimer(noticePatience)
	defer patience.Stop()
	tick := time.NewTicker(noticePause)
	defer tick.Stop()
	for {
		r, err := a.repository(ctx, path)
		if err != nil || !r.Empty || !matters || r.readOnly() != "" {
			return r, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-patience.C:
			return nil, sdk.WithHint(&sdk.Error{Kind: sdk.NotFound, Fact: fmt.Sprintf("repository %q is still empty for the forge, so it can't have a default branch", path), Subject: path},
				"if something was pushed, the forge's queue is behind; the next job sets the default branch")
		case <-tick.C:
		}
	}
}

// Retire implements sdk.Retirer: the repository is archived, which makes it
// read-only and keeps everything.
func (a *Adapter) Retire(ctx context.Context, path string) error {
	if checkName(path) != nil {
		return nil // the host has nothing by such a name, which configuration has told of
	}
	r, err := a.repository(ctx, path)
	switch {
	case httpforge.Gone(err):
		return nil // what has the path no more is somebody else's
	case err != nil:
		return err
	case r.Archived:
		return nil
	case r.Mirror:
		return &sdk.Error{Kind: sdk.ReadOnly, Fact: fmt.Sprintf("repository %q is a mirror of the forge's own, which can't be archived", path), Subject: path}
	}
	return a.change(ctx, r.FullName, map[string]any{"archived": true})
}

// check refuses what can never work.
func (a *Adapter) check(want sdk.Want) error {
	if err := checkName(want.Path); err != nil {
		return err
	}
	if branch := httpforge.Branch(want.Head); len(branch) > maxBranch {
		return &sdk.Error{Kind: sdk.Invalid, Fact: fmt.Sprintf("the default branch %q has more than %d characters", branch, maxBranch), Subject: want.Path}
	}
	return httpforge.CheckHead(want)
}

// wanted gives the visibility for something new.
func (a *Adapter) wanted(want sdk.Want) sdk.Visibility {
	return httpforge.Visibility(want, a.settings.Visibility)
}

// create makes a repository and the organisation that it needs.
func (a *Adapter) create(ctx context.Context, want sdk.Want) (sdk.Have, error) {
	owner, name, _ := strings.Cut(want.Path, "/")
	o, err := a.ensureOwner(ctx, owner, a.wanted(want))
	if err != nil {
		return sdk.Have{}, httpforge.About(err, want.Path)
	}
	private := a.private(want, o.visibility())
	body := map[string]any{"name": name, "private": private, "auto_init": false}
	if d := httpforge.Description(want.Description, maxDescription); d != "" {
		body["description"] = d
	}
	// No default branch is wished for yet: Gitea would make HEAD of it and then
	// the first pushed branch the default one, so that the two differ.
	var r repository
	what := "repository " + strconv.Quote(want.Path)
	_, err = a.api.Do(ctx, httpforge.Request{Method: http.MethodPost, Path: o.create, Body: body, What: what}, &r)
	switch {
	case err == nil:
	case sdk.KindOf(err) == sdk.Conflict:
		return a.lostRace(ctx, want, err)
	case sdk.KindOf(err) == sdk.Denied && httpforge.StatusOf(err) == http.StatusForbidden:
		return sdk.Have{}, httpforge.About(sdk.WithHint(err, "give the token the scope write:repository, and its account the right to make repositories in "+strconv.Quote(owner)), want.Path)
	default:
		return sdk.Have{}, httpforge.About(err, want.Path)
	}
	have, err := a.have(&r)
	have.Created = true
	if resulting(private, o.visibility()) != a.wanted(want) {
		have.Unsupported = append(have.Unsupported, "visibility")
	}
	if err != nil {
		return have, err
	}
	// A mirror needs nothing around its code. That it could not be switched
	// off hurts nobody.
	off := map[string]any{"has_issues": false, "has_pull_requests": false, "has_wiki": false, "has_projects": false, "has_actions": false}
	if err := a.change(ctx, r.FullName, off); err != nil {
		a.log.Warn("issues, pull requests and wiki of a new repository stay switched on", "repository", want.Path, "err", err)
	}
	return have, nil
}

// private chooses the flag of a new repository such that nobody can read it who
// was not meant to: the flag knows two cases, the organisation three.
func (a *Adapter) private(want sdk.Want, owner sdk.Visibility) bool {
	wanted := a.wanted(want)
	// A private one is so by itself: its organisation may change one day.
	return wanted == sdk.VisibilityPrivate || httpforge.Rank(resulting(false, owner)) > httpforge.Rank(wanted)
}

// resulting is the visibility of a repository with the flag in an organisation.
func resulting(private bool, owner sdk.Visibility) sdk.Visibility {
	if private {
		return sdk.VisibilityPrivate
	}
	return owner
}

// lostRace looks for the repository that somebody else has just made.
func (a *Adapter) lostRace(ctx context.Context, want sdk.Want, cause error) (sdk.Have, error) {
	r, err := a.repository(ctx, want.Path)
	switch {
	case err == nil:
		return a.update(ctx, r, want)
	case httpforge.IsNotFound(err):
		return sdk.Have{}, sdk.WithHint(
			&sdk.Error{Kind: sdk.Conflict, Fact: cause.Error(), Subject: want.Path, Err: cause},
			"something hidden has the name: a repository that the token's account can't see, or files that were left on the server's disk")
	default:
		return sdk.Have{}, httpforge.TellMoved(err)
	}
}

// update brings a repository in line, as far as anything can be changed.
func (a *Adapter) update(ctx context.Context, r *repository, want sdk.Want) (sdk.Have, error) {
	if want.Revive && r.Archived {
		if err := a.change(ctx, r.FullName, map[string]any{"archived": false}); err != nil {
			return sdk.Have{}, err
		}
		r.Archived = false
	}
	have, err := a.have(r)
	if err != nil || have.ReadOnlyReason != "" {
		return have, err
	}
	changes := map[string]any{}
	httpforge.Describe(changes, want, r.Description, maxDescription)
	if v := want.Visibility; v != sdk.VisibilityUnknown && v != r.visibility() {
		owner := ownerVisibility(r.Owner.Visibility)
		private := a.private(want, owner)
		if private != r.Private {
			changes["private"] = private
		}
		if resulting(private, owner) != v {
			have.Unsupported = append(have.Unsupported, "visibility")
		}
	}
	if len(changes) == 0 {
		return have, nil
	}
	return have, a.change(ctx, r.FullName, changes)
}

func (a *Adapter) change(ctx context.Context, path string, changes map[string]any) error {
	owner, name, _ := strings.Cut(path, "/")
	_, err := a.api.Do(ctx, httpforge.Request{
		Method: http.MethodPatch, Path: []string{"repos", owner, name}, Body: changes, What: "changing repository " + strconv.Quote(path),
	}, nil)
	return httpforge.About(err, path)
}

// have describes a repository that is there.
func (a *Adapter) have(r *repository) (sdk.Have, error) {
	cloneURL, err := a.site.CloneURL(r.FullName, r.SSHURL)
	if err != nil {
		return sdk.Have{}, err
	}
	return sdk.Have{Access: a.access(cloneURL), ReadOnlyReason: r.readOnly()}, nil
}

// readOnly says why a push is going to be refused, or "".
func (r *repository) readOnly() string {
	switch {
	case r.Archived:
		return "the repository is archived"
	case r.Mirror:
		return "the repository is a mirror that the forge fills itself"
	case r.disabled():
		return "the repository's code is switched off"
	case r.Permissions != nil && !r.Permissions.Push:
		return "the token's account has no right to push"
	default:
		return ""
	}
}
