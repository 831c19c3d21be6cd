package gerrit

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/lorry-controller/lorry-controller/plugins/internal/httpforge"
	"github.com/lorry-controller/lorry-controller/plugins/internal/sshforge"
	"github.com/lorry-controller/lorry-controller/sdk"
)

// rest asks Gerrit over HTTP.
type rest struct {
	client *http.Client
	root   *url.URL // without a trailing slash
	login  httpforge.Login
}

var _ api = (*rest)(nil)

// call sends a request and hands the JSON of a success to read, when that is
// not nil. path is already escaped. With a user, every path begins with "/a/":
// without that, Gerrit takes even a request with credentials for an
// anonymous one and leaves out, with a success, what the user alone may see.
func (r *rest) call(ctx context.Context, method, path string, body any, what string, read func(io.Reader) error) error {
	var payload io.Reader = http.NoBody
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			return sdk.Errorf(sdk.Internal, "%s: %w", what, err)
		}
		payload = bytes.NewReader(raw)
	}
	prefix := "/"
	if r.login.Username != "" {
		prefix = "/a/"
	}
	req, err := http.NewRequestWithContext(ctx, method, r.root.String()+prefix+path, payload)
	if err != nil {
		return sdk.Errorf(sdk.Invalid, "%s: the address of Gerrit can't be used", what)
	}
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json; charset=UTF-8")
	}
	resp, err := r.login.Do(ctx, r.client, req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return refused(resp, what)
	}
	if read == nil {
		return nil
	}
	answer, ok := unguarded(resp.Body)
	if !ok {
		return sdk.WithHint(sdk.Errorf(sdk.Unavailable, "%s: what %s answers is not Gerrit's", what, r.root.Host),
			"a login page or a proxy may stand before Gerrit, or http-url is wrong")
	}
	if err := read(answer); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	return nil
}

// refused makes the error of an answer that is no success. Gerrit's own words
// are plain text of one line.
func refused(resp *http.Response, what string) error {
	e := sdk.HTTPError(resp, what)
	var known *sdk.Error
	if !errors.As(e, &known) {
		return e
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain") {
		raw, err := io.ReadAll(io.LimitReader(resp.Body, 1000))
		if line := sshforge.LastLine(string(raw)); err == nil && line != "" {
			known.Fact += ": " + line
		}
	}
	switch {
	case resp.StatusCode == http.StatusPreconditionFailed:
		known.Kind = sdk.Conflict
	case known.Kind == sdk.Unauthenticated:
		known.Hint = "check username and password; Gerrit wants the HTTP password that it makes in the user's settings"
	case known.Kind == sdk.Denied:
		known.Hint = rightsHint
	}
	return known
}

const rightsHint = "grant the user what the adapter's README lists"

func into(target any) func(io.Reader) error {
	return func(r io.Reader) error {
		if err := json.NewDecoder(r).Decode(target); err != nil {
			return notUnderstood(err)
		}
		return nil
	}
}

// projects implements api.
func (r *rest) projects(ctx context.Context, w window) ([]project, error) {
	q := url.Values{"all": {""}, "type": {"ALL"}, "n": {strconv.Itoa(w.count)}, "S": {strconv.Itoa(w.start)}}
	switch {
	case w.permissionsOnly:
		q.Set("type", "PERMISSIONS")
	case len(w.branches) > 0:
		q["b"] = w.branches
	default:
		q.Set("d", "")
	}
	if w.prefix != "" {
		q.Set("p", w.prefix)
	}
	var list []project
	err := r.call(ctx, http.MethodGet, "projects/?"+q.Encode(), nil, "the list of projects", func(body io.Reader) (err error) {
		list, err = decodeProjects(body)
		return err
	})
	return list, err
}

func address(name string) string { return "projects/" + url.PathEscape(name) }

func quoted(name string) string { return "project " + strconv.Quote(name) }

// project implements api.
func (r *rest) project(ctx context.Context, name string) (project, error) {
	p := project{name: name}
	return p, r.call(ctx, http.MethodGet, address(name), nil, quoted(name), into(&p))
}

// head implements api.
func (r *rest) head(ctx context.Context, name string) (string, error) {
	var head string
	err := r.call(ctx, http.MethodGet, address(name)+"/HEAD", nil, "the default branch of "+quoted(name), into(&head))
	if err != nil || !validHead(head) {
		return "", err
	}
	return head, nil
}

// create implements api. It never asks for an initial commit: that would stand
// in the way of the first push.
func (r *rest) create(ctx context.Context, name, parent, description, head string) error {
	input := map[string]any{"create_empty_commit": false, "permissions_only": false}
	if parent != "" {
		input["parent"] = parent
	}
	if description != "" {
		input["description"] = description
	}
	if head != "" {
		input["branches"] = []string{head}
	}
	err := r.call(ctx, http.MethodPut, address(name), input, "creating "+quoted(name), nil)
	if err != nil && parent != "" && strings.Contains(err.Error(), "Project Not Found: "+parent) {
		return noParent(parent)
	}
	return err
}

func noParent(parent string) error {
	return sdk.WithHint(&sdk.Error{Kind: sdk.Invalid, Fact: "there is no project to inherit from", Subject: parent},
		"create the project that parent-project names, or correct the setting")
}

// setHead implements api.
func (r *rest) setHead(ctx context.Context, name, head string) error {
	err := r.call(ctx, http.MethodPut, address(name)+"/HEAD", map[string]string{"ref": head}, "setting the default branch of "+quoted(name), nil)
	if err != nil && strings.Contains(err.Error(), "Ref Not Found") {
		return noBranch(name, head)
	}
	return err
}

func noBranch(name, head string) error {
	return &sdk.Error{Kind: sdk.NotFound, Fact: quoted(name) + " has no branch " + head + " yet", Subject: name}
}

// setDescription implements api.
func (r *rest) setDescription(ctx context.Context, name, description string) error {
	return r.call(ctx, http.MethodPut, address(name)+"/description", map[string]string{"description": description}, "describing "+quoted(name), nil)
}

// setState implements api. Gerrit takes a configuration without a description
// for one whose description is to go.
// Source: com.google.gerrit.sshd.commands.SetProjectCommand, which guards
// against the same.
func (r *rest) setState(ctx context.Context, p project, state string) error {
	input := map[string]string{"state": state, "description": p.Description}
	return r.call(ctx, http.MethodPut, address(p.name)+"/config", input, "making "+quoted(p.name)+" "+state, nil)
}

// version implements api.
func (r *rest) version(ctx context.Context) (string, error) {
	var version string
	return version, r.call(ctx, http.MethodGet, "config/server/version", nil, "the version", into(&version))
}
