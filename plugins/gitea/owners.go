package gitea

import (
	"context"
	"net/http"
	"strconv"

	"github.com/lorry-controller/lorry-controller/plugins/internal/httpforge"
	"github.com/lorry-controller/lorry-controller/sdk"
)

// owner is an organisation or user, and where a repository of it is made.
type owner struct {
	Visibility sdk.Visibility `json:"visibility"`
	Login      string         `json:"login"`
	create     []string
}

func (o owner) visibility() sdk.Visibility { return ownerVisibility(o.Visibility) }

// ownerVisibility puts the forge's words into ours; versions that do not tell
// have public owners alone.
func ownerVisibility(v sdk.Visibility) sdk.Visibility {
	switch v {
	case "private":
		return sdk.VisibilityPrivate
	case "limited":
		return sdk.VisibilityInternal
	default:
		return sdk.VisibilityPublic
	}
}

// ensureOwner finds the owner of a name or makes an organisation.
func (a *Adapter) ensureOwner(ctx context.Context, name string, wanted sdk.Visibility) (owner, error) {
	found, err := a.owner(ctx, name)
	if !httpforge.IsNotFound(err) {
		return found, err
	}
	visibility := string(wanted)
	if wanted == sdk.VisibilityInternal {
		visibility = "limited"
	}
	what := "organisation " + strconv.Quote(name)
	_, err = a.api.Do(ctx, httpforge.Request{
		Method: http.MethodPost, Path: []string{"orgs"}, What: what,
		Body: map[string]any{"username": name, "visibility": visibility, "repo_admin_change_team_access": false},
	}, &found)
	switch {
	case err == nil:
		a.log.Info("made an organisation", "organisation", name, "visibility", visibility)
		found.create = []string{"orgs", name, "repos"}
		return found, nil
	case httpforge.Says(err, "already exist"):
		found, again := a.owner(ctx, name)
		if httpforge.IsNotFound(again) {
			return found, sdk.WithHint(sdk.Errorf(sdk.Conflict, "%s can't be made: %w", what, err),
				"something hidden has the name: an organisation or user that the token's account can't see")
		}
		return found, again
	case sdk.KindOf(err) == sdk.Denied:
		return found, sdk.WithHint(err, "make the organisation by hand, or allow the token's account to make organisations and give the token the scope write:organization")
	default:
		return found, err
	}
}

// owner finds an organisation, or a user in whose name a repository can be made.
func (a *Adapter) owner(ctx context.Context, name string) (owner, error) {
	var found owner
	_, err := a.api.Do(ctx, httpforge.Request{Path: []string{"orgs", name}, What: "organisation " + strconv.Quote(name)}, &found)
	if err == nil {
		found.create = []string{"orgs", name, "repos"}
	}
	if !httpforge.IsNotFound(err) {
		return found, err
	}
	if _, err := a.api.Do(ctx, httpforge.Request{Path: []string{"users", name}, What: "user " + strconv.Quote(name)}, &found); err != nil {
		return found, err
	}
	// An organisation is found as a user too: one that was made just now must
	// not be taken for a user.
	_, err = a.api.Do(ctx, httpforge.Request{Path: []string{"orgs", name}, What: "organisation " + strconv.Quote(name)}, &found)
	if !httpforge.IsNotFound(err) {
		found.create = []string{"orgs", name, "repos"}
		return found, err
	}
	var me owner
	if _, err := a.api.Do(ctx, httpforge.Request{Path: []string{"user"}, What: "the token's account"}, &me); err != nil {
		return found, err
	}
	found.create = []string{"admin", "users", name, "repos"} // refused unless the account is an admin's
	if me.Login == found.Login {
		found.create = []string{"user", "repos"}
	}
	return found, nil
}
