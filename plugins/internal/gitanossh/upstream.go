package gitanossh

import (
	"context"
	"errors"
	"iter"

	"github.com/lorry-controller/lorry-controller/sdk"
)

// Repos implements sdk.Upstream: whatever may be read, but for the server's own
// repository. Head and description are not listed; Repo asks for them.
func (a *Adapter) Repos(ctx context.Context, _ sdk.Query) iter.Seq2[sdk.Repo, error] {
	return func(yield func(sdk.Repo, error) bool) {
		if err := a.list(ctx, func(r sdk.Repo) bool { return yield(r, nil) }); err != nil {
			yield(sdk.Repo{}, err)
		}
	}
}

func (a *Adapter) list(ctx context.Context, take func(sdk.Repo) bool) error {
	entries, strange := 0, 0
	seen := map[string]bool{}
	for line, err := range a.run.lines(ctx, "ls") {
		if err != nil {
			return a.failure(err, "list its repositories", "")
		}
		e, ok := parseEntry(line)
		if !ok {
			if line != "" {
				strange++
			}
			continue
		}
		entries++
		if !e.readable || e.path == adminRepo || seen[e.path] {
			continue
		}
		if err := checkPath(e.path); err != nil {
			a.log.Warn("left out a repository that can't be mirrored", "path", e.path, "error", err)
			continue
		}
		seen[e.path] = true
		access, err := a.access(e.path)
		if err != nil {
			return err
		}
		if !take(sdk.Repo{Path: e.path, CloneURL: access.URL}) {
			return nil
		}
	}
	switch {
	case entries == 0 && strange > 0:
		return sdk.Errorf(sdk.Internal, "%s answers ls with %d lines, and none of them is that of a repository", a.host, strange)
	case strange > 0:
		a.log.Debug("ignored lines of a listing that are not about a repository", "lines", strange)
	}
	return nil
}

// Repo implements sdk.Upstream. When the host does not show the configuration
// of a repository, what is known without it is given.
func (a *Adapter) Repo(ctx context.Context, path string) (sdk.Repo, sdk.Access, error) {
	if err := checkPath(path); err != nil {
		return sdk.Repo{}, sdk.Access{}, err
	}
	if path == adminRepo {
		return sdk.Repo{}, sdk.Access{}, &sdk.Error{Kind: sdk.NotFound, Fact: "the server's own repository is not mirrored", Subject: path}
	}
	out, err := run(ctx, a.run, "config", path, "show")
	var refused *refusal
	switch {
	case errors.As(err, &refused) && !refused.missing():
		a.log.Info("the host does not show a repository's configuration", "path", path, "reason", refused.Error())
		out = ""
	case err != nil:
		return sdk.Repo{}, sdk.Access{}, a.failure(err, "show the repository", path)
	}
	access, err := a.access(path)
	if err != nil {
		return sdk.Repo{}, sdk.Access{}, err
	}
	c := parseConfig(out)
	return sdk.Repo{Path: path, CloneURL: access.URL, Head: c.head, Description: c.description}, access, nil
}
