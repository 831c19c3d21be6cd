package gerrit

import (
	"context"

	"github.com/lorry-controller/lorry-controller/plugins/internal/sshforge"
	"github.com/lorry-controller/lorry-controller/sdk"
)

// Ensure implements sdk.Downstream. One request is enough for a project that is
// there and as it should be.
func (a *Adapter) Ensure(ctx context.Context, want sdk.Want) (sdk.Have, error) {
	if err := usable(want); err != nil {
		return sdk.Have{}, err
	}
	have := sdk.Have{}
	if want.Visibility != sdk.VisibilityUnknown {
		have.Unsupported = append(have.Unsupported, "visibility")
	}
	if want.LFS {
		have.Unsupported = append(have.Unsupported, "lfs")
	}
	description := sshforge.OneLine(want.Description)
	p, err := a.api.project(ctx, want.Path)
	if err == nil && want.Revive && p.State == readOnly {
		if err := a.setState(ctx, p, active); err != nil {
			return sdk.Have{}, err
		}
		p.State = active
	}
	switch {
	case err != nil && sdk.KindOf(err) == sdk.NotFound:
		err = a.api.create(ctx, want.Path, a.settings.ParentProject, description, want.Head)
		have.Created = err == nil
		if err != nil && sdk.KindOf(err) != sdk.Conflict {
			return sdk.Have{}, err
		}
		if err != nil {
			// Somebody else was faster, or the user may not read the project.
			a.log.Info("the project is there already", "project", want.Path, "reason", err)
		}
	case err != nil:
		return sdk.Have{}, err
	default:
		if p.State != "" && p.State != active {
			have.ReadOnlyReason = "the project's state is " + p.State
		} else if description != "" && description != sshforge.OneLine(p.Description) {
			switch err := a.api.setDescription(ctx, want.Path, description); {
			case err == nil:
			case sdk.KindOf(err) == sdk.Denied:
				a.log.Warn("gerrit does not take the description", "project", want.Path, "error", err)
				have.Unsupported = append(have.Unsupported, "description")
			default:
				return sdk.Have{}, err
			}
		}
	}
	if a.settings.SkipValidation {
		have.PushOptions = []string{"skip-validation"}
	}
	have.Access, err = a.access(want.Path)
	return have, err
}

// AfterPush implements sdk.AfterPusher: Gerrit takes a default branch only once
// that branch is there.
func (a *Adapter) AfterPush(ctx context.Context, want sdk.Want) error {
	if err := usable(want); err != nil || want.Head == "" {
		return err
	}
	head, err := a.api.head(ctx, want.Path)
	if err != nil || head == want.Head {
		return err
	}
	return a.api.setHead(ctx, want.Path, want.Head)
}

// Retire implements sdk.Retirer: the project takes no push any more, and
// everything in it stays. One that is hidden takes none anyway.
func (a *Adapter) Retire(ctx context.Context, path string) error {
	if checkName(path) != nil {
		return nil // the host has nothing by such a name, which configuration has told of
	}
	p, err := a.api.project(ctx, path)
	switch {
	case err != nil && sdk.KindOf(err) == sdk.NotFound:
		return nil
	case err != nil:
		return err
	case p.State == readOnly || p.State == hidden:
		return nil
	}
	return a.setState(ctx, p, readOnly)
}

// setState says what the user lacks when Gerrit refuses.
func (a *Adapter) setState(ctx context.Context, p project, state string) error {
	err := a.api.setState(ctx, p, state)
	if err != nil && sdk.KindOf(err) == sdk.Denied {
		return sdk.WithHint(err, "grant the user the right Owner on refs/* of the project or its parent, or set the state by hand")
	}
	return err
}

func usable(want sdk.Want) error {
	if err := checkName(want.Path); err != nil {
		return err
	}
	if want.Head != "" && !validHead(want.Head) {
		return &sdk.Error{Kind: sdk.Invalid, Fact: "the default branch is not the full ref of a branch", Subject: want.Head}
	}
	return nil
}
