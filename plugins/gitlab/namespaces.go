package gitlab

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lorry-controller/lorry-controller/plugins/internal/httpforge"
	"github.com/lorry-controller/lorry-controller/sdk"
)

// group is what the adapter reads of a group.
type group struct {
	ID         int64          `json:"id"`
	FullPath   string         `json:"full_path"`
	Visibility sdk.Visibility `json:"visibility"`
}

// namespace is where projects can be made: a group, or a user's own.
type namespace struct {
	id         int64
	visibility sdk.Visibility // no project may be more visible
	at         time.Time
}

// namespaceAge is how long a namespace is believed to be as it was.
const namespaceAge = 5 * time.Minute

// namespaces remembers namespaces, so that a thousand new projects in one group
// do not ask for it a thousand times.
type namespaces struct {
	mu  sync.Mutex
	now func() time.Time
	ids map[string]namespace
}

func newNamespaces(now func() time.Time) *namespaces {
	return &namespaces{now: now, ids: map[string]namespace{}}
}

func (n *namespaces) get(full string) (namespace, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	ns, ok := n.ids[strings.ToLower(full)]
	return ns, ok && n.now().Sub(ns.at) < namespaceAge
}

func (n *namespaces) put(full string, ns namespace) namespace {
	n.mu.Lock()
	defer n.mu.Unlock()
	ns.at = n.now()
	n.ids[strings.ToLower(full)] = ns
	return ns
}

func (n *namespaces) forget(full string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.ids, strings.ToLower(full))
}

// namespace finds the namespace of a full path.
func (a *Adapter) namespace(ctx context.Context, full string) (namespace, error) {
	if ns, ok := a.namespaces.get(full); ok {
		return ns, nil
	}
	var g group
	_, err := a.api.Do(ctx, httpforge.Request{
		Path: []string{"groups", full}, Query: query("with_projects", "false"), What: "group " + strconv.Quote(full),
	}, &g)
	switch {
	case err == nil && !strings.EqualFold(g.FullPath, full):
		return namespace{}, sdk.WithHint(
			sdk.Errorf(sdk.Conflict, "group %q is %q now; its old path only leads there", full, g.FullPath),
			"change the Lorry's path to the new name, or make a group at the old one")
	case err == nil:
		return a.namespaces.put(full, namespace{id: g.ID, visibility: g.Visibility}), nil
	case !httpforge.IsNotFound(err) || strings.Contains(full, "/"):
		return namespace{}, err
	}
	// A top-level name may be a user's.
	var user projectSpace
	if _, err := a.api.Do(ctx, httpforge.Request{Path: []string{"namespaces", full}, What: "namespace " + strconv.Quote(full)}, &user); err != nil {
		return namespace{}, err
	}
	if user.Kind != "user" {
		return namespace{}, &sdk.Error{Kind: sdk.NotFound, Fact: fmt.Sprintf("group %q is hidden from the token's account", full), Subject: full}
	}
	return a.namespaces.put(full, namespace{id: user.ID, visibility: sdk.VisibilityPublic}), nil
}

// ensureNamespace finds a namespace or makes the groups that are missing, from
// the outermost on.
func (a *Adapter) ensureNamespace(ctx context.Context, full string, wanted sdk.Visibility) (namespace, error) {
	ns, err := a.namespace(ctx, full)
	if !httpforge.IsNotFound(err) {
		return ns, err
	}
	body := map[string]any{"name": displayName(path.Base(full)), "path": path.Base(full)}
	if parent := path.Dir(full); parent != "." {
		above, err := a.ensureNamespace(ctx, parent, wanted)
		if err != nil {
			return namespace{}, err
		}
		body["parent_id"] = above.id
		// GitLab refuses a subgroup that more may see than its parent.
		wanted = httpforge.Clamp(wanted, above.visibility)
	}
	body["visibility"] = string(wanted)
	var g group
	what := "group " + strconv.Quote(full)
	_, err = a.api.Do(ctx, httpforge.Request{Method: http.MethodPost, Path: []string{"groups"}, Body: body, What: what}, &g)
	switch {
	case err == nil:
		a.log.Info("made a group", "group", full, "visibility", wanted)
		return a.namespaces.put(full, namespace{id: g.ID, visibility: g.Visibility}), nil
	case taken(err):
		ns, again := a.namespace(ctx, full)
		if httpforge.IsNotFound(again) {
			return ns, sdk.WithHint(sdk.Errorf(sdk.Conflict, "%s can't be made: %w", what, err),
				"something else has the name: a project, a group that the token's account can't see, or one that waits for its deletion")
		}
		return ns, again
	case sdk.KindOf(err) == sdk.Denied && body["parent_id"] == nil:
		return ns, sdk.WithHint(err, "make the top-level group by hand (GitLab.com has no other way), or allow the token's user to create groups")
	case sdk.KindOf(err) == sdk.Denied:
		return ns, sdk.WithHint(err, "give the token's user the role Maintainer or Owner in the group above")
	case sdk.KindOf(err) == sdk.Conflict:
		// A lost race can also show as a conflict of two transactions.
		if ns, again := a.namespace(ctx, full); again == nil {
			return ns, nil
		}
		return ns, err
	default:
		return ns, err
	}
}

// taken reports whether GitLab refused a name because there is one like it. It
// says so with status 400, not 409.
func taken(err error) bool {
	status := httpforge.StatusOf(err)
	return (status == http.StatusBadRequest || status == http.StatusConflict || status == http.StatusUnprocessableEntity) &&
		httpforge.Says(err, "already been taken", "already exists")
}
