package gitanossh

import (
	"context"
	"errors"
	"strings"

	"github.com/lorry-controller/lorry-controller/plugins/internal/sshforge"
	"github.com/lorry-controller/lorry-controller/sdk"
)

// state is what is known of a repository downstream.
type state struct {
	config config
	// shown says that config is what the host has; otherwise its rules keep it
	// from us, and the repository may or may not be there.
	shown bool
	there bool
}

// Ensure implements sdk.Downstream. One command is enough for a repository that
// is there and as it should be.
func (a *Adapter) Ensure(ctx context.Context, want sdk.Want) (sdk.Have, error) {
	if err := a.usable(want); err != nil {
		return sdk.Have{}, err
	}
	have := sdk.Have{}
	if want.Visibility != sdk.VisibilityUnknown {
		have.Unsupported = append(have.Unsupported, "visibility")
	}
	if want.LFS {
		have.Unsupported = append(have.Unsupported, "lfs")
	}
	s, err := a.look(ctx, want.Path)
	if err != nil {
		return sdk.Have{}, err
	}
	if !s.there {
		if have.Created, err = a.create(ctx, want.Path, s); err != nil {
			return sdk.Have{}, err
		}
	}
	change := sdk.Want{Path: want.Path}
	if have.Created || s.shown && s.there {
		change.Description = want.Description
	}
	if have.Created {
		change.Head = want.Head // an older repository's follows the push
	}
	refused, err := a.configure(ctx, change, s.config)
	if err != nil {
		return sdk.Have{}, err
	}
	have.Unsupported = append(have.Unsupported, refused...)
	have.Access, err = a.access(want.Path)
	return have, err
}

// AfterPush implements sdk.AfterPusher.
func (a *Adapter) AfterPush(ctx context.Context, want sdk.Want) error {
	if err := a.usable(want); err != nil {
		return err
	}
	if want.Head == "" && want.Description == "" {
		return nil
	}
	s, err := a.look(ctx, want.Path)
	if err != nil {
		return err
	}
	if s.shown && !s.there {
		return &sdk.Error{Kind: sdk.NotFound, Fact: "there is no such repository on " + a.host, Subject: want.Path}
	}
	refused, err := a.configure(ctx, want, s.config)
	if err == nil && len(refused) > 0 {
		// The job is none the worse for it, but says so.
		err = &sdk.Error{
			Kind: sdk.Denied, Fact: a.host + " does not let us set the " + strings.Join(refused, " and the "), Subject: want.Path,
			Hint: "the host's rules decide this; ask its admin",
		}
	}
	return err
}

func (a *Adapter) usable(want sdk.Want) error {
	if err := checkPath(want.Path); err != nil {
		return err
	}
	if a.ssh == nil {
		return sdk.Errorf(sdk.Unsupported, "repositories are made by ssh alone")
	}
	if want.Path == adminRepo {
		return &sdk.Error{Kind: sdk.Invalid, Fact: "this is the server's own repository", Subject: want.Path}
	}
	if want.Head != "" && !validHead(want.Head) {
		return &sdk.Error{Kind: sdk.Invalid, Fact: "the default branch is not the full ref of a branch", Subject: want.Head}
	}
	return nil
}

// look finds out what is there.
func (a *Adapter) look(ctx context.Context, path string) (state, error) {
	out, err := run(ctx, a.run, "config", path, "show")
	var refused *refusal
	switch {
	case err == nil:
		return state{config: parseConfig(out), shown: true, there: true}, nil
	case !errors.As(err, &refused):
		return state{}, err
	case refused.missing():
		return state{shown: true}, nil
	default:
		a.log.Info("the host does not show a repository's configuration", "path", path, "reason", refused.Error())
		return state{}, nil
	}
}

// create makes a repository. A refusal counts only when the repository is
// known to be missing: the host may let us push to one that it does not show.
func (a *Adapter) create(ctx context.Context, path string, s state) (created bool, err error) {
	_, err = run(ctx, a.run, "create", path)
	var refused *refusal
	switch {
	case err == nil:
		return true, nil
	case !errors.As(err, &refused):
		return false, err
	case refused.exists():
		return false, nil
	case s.shown:
		return false, a.failure(err, "create the repository", path)
	}
	a.log.Info("the host does not create a repository; it may be there already", "path", path, "reason", refused.Error())
	return false, nil
}

// configure sets what differs and gives the names of what the host's rules
// refuse: that is told, but no failure.
func (a *Adapter) configure(ctx context.Context, want sdk.Want, have config) (refusedWishes []string, err error) {
	for _, c := range []struct{ wish, key, want, have string }{
		{"head", "project.head", want.Head, have.head},
		{"description", "project.description", sshforge.OneLine(want.Description), have.description},
	} {
		if c.want == "" || c.want == c.have {
			continue
		}
		_, err := run(ctx, a.run, "config", want.Path, "set", c.key, c.want)
		var refused *refusal
		switch {
		case errors.As(err, &refused):
			a.log.Warn("the host does not take a setting", "path", want.Path, "setting", c.key, "reason", refused.Error())
			refusedWishes = append(refusedWishes, c.wish)
		case err != nil:
			return refusedWishes, err
		}
	}
	return refusedWishes, nil
}
