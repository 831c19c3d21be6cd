package gerrit

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/lorry-controller/lorry-controller/plugins/internal/sshforge"
	"github.com/lorry-controller/lorry-controller/sdk"
)

// remote asks Gerrit by commands over its ssh server.
type remote struct{ client *sshforge.Client }

var _ api = (*remote)(nil)

// run runs a command of Gerrit. What it refuses becomes an error with a kind.
func (r *remote) run(ctx context.Context, what string, words ...string) ([]byte, error) {
	out, err := r.client.Run(ctx, append([]string{"gerrit"}, words...)...)
	var exit *sshforge.ExitError
	if !errors.As(err, &exit) {
		return out, err
	}
	fact := sshforge.LastLine(exit.Stderr)
	e := &sdk.Error{Kind: kindOf(fact), Fact: what + ": " + fact, Err: exit}
	switch e.Kind {
	case sdk.Denied:
		e.Hint = rightsHint
	case sdk.Unavailable:
		e.Hint = "look into Gerrit's log; some versions also answer so when the user lacks a right"
	}
	return out, e
}

// kindOf finds the kind of a refusal by Gerrit's words.
func kindOf(words string) sdk.Kind {
	lower := strings.ToLower(words)
	for _, row := range []struct {
		words string
		kind  sdk.Kind
	}{
		{"already exists", sdk.Conflict},
		{"already occupied", sdk.Conflict}, // the answer to the slower one of two
		{"ref not found", sdk.NotFound},
		{"not permitted", sdk.Denied},
		{"permission denied", sdk.Denied},
		{"not have permission", sdk.Denied},
		{"cannot create project", sdk.Denied},
		{"invalid project name", sdk.Invalid},
		{"internal server error", sdk.Unavailable},
		{"not found", sdk.NotFound},
	} {
		if strings.Contains(lower, row.words) {
			return row.kind
		}
	}
	return sdk.Internal
}

// projects implements api.
func (r *remote) projects(ctx context.Context, w window) ([]project, error) {
	words := []string{"ls-projects", "--format", "json_compact", "--all", "--limit", strconv.Itoa(w.count), "--start", strconv.Itoa(w.start)}
	switch {
	case w.permissionsOnly:
		words = append(words, "--type", "permissions")
	case len(w.branches) > 0:
		words = append(words, "--type", "all")
		for _, b := range w.branches {
			words = append(words, "--show-branch", b)
		}
	default:
		words = append(words, "--type", "all", "--description")
	}
	if w.prefix != "" {
		words = append(words, "--prefix", w.prefix)
	}
	out, err := r.run(ctx, "the list of projects", words...)
	if err != nil {
		return nil, err
	}
	return decodeProjectsOf(out)
}

// project implements api. Among the names that begin with one, that one itself
// comes first.
func (r *remote) project(ctx context.Context, name string) (project, error) {
	list, err := r.projects(ctx, window{count: 1, prefix: name})
	if err != nil {
		return project{}, err
	}
	if len(list) == 0 || list[0].name != name {
		return project{}, &sdk.Error{Kind: sdk.NotFound, Fact: quoted(name) + " is not there, or not for this user", Subject: name}
	}
	return list[0], nil
}

// head implements api: no command of Gerrit tells it.
func (r *remote) head(context.Context, string) (string, error) { return "", nil }

// create implements api. It never asks for an initial commit: that would stand
// in the way of the first push.
func (r *remote) create(ctx context.Context, name, parent, description, head string) error {
	words := []string{"create-project"}
	if parent != "" {
		words = append(words, "--parent", parent)
	}
	if description != "" {
		words = append(words, "--description", sshforge.OneLine(description))
	}
	if head != "" {
		words = append(words, "--branch", head)
	}
	_, err := r.run(ctx, "creating "+quoted(name), append(words, "--", name)...)
	if err != nil && sdk.KindOf(err) == sdk.NotFound && parent != "" && strings.Contains(err.Error(), parent+" not found") {
		return noParent(parent)
	}
	return err
}

// setHead implements api.
func (r *remote) setHead(ctx context.Context, name, head string) error {
	_, err := r.run(ctx, "setting the default branch of "+quoted(name), "set-head", "--new-head", head, "--", name)
	if err != nil && sdk.KindOf(err) == sdk.NotFound && strings.Contains(err.Error(), "Ref Not Found") {
		return noBranch(name, head)
	}
	return err
}

// setDescription implements api.
func (r *remote) setDescription(ctx context.Context, name, description string) error {
	_, err := r.run(ctx, "describing "+quoted(name), "set-project", "--description", sshforge.OneLine(description), "--", name)
	return err
}

// setState implements api. The command keeps the description.
func (r *remote) setState(ctx context.Context, p project, state string) error {
	_, err := r.run(ctx, "making "+quoted(p.name)+" "+state, "set-project", "--project-state", state, "--", p.name)
	return err
}

// version implements api.
func (r *remote) version(ctx context.Context) (string, error) {
	out, err := r.run(ctx, "the version", "version")
	return strings.TrimPrefix(strings.TrimSpace(string(out)), "gerrit version "), err
}
