package gitlab

import (
	"context"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/plugins/internal/httpforge"
	"github.com/lorry-controller/lorry-controller/sdk"
)

// Adapter is the adapter with its settings.
type Adapter struct {
	settings   Settings
	role       sdk.Role
	site       httpforge.Site
	api        *httpforge.Client
	log        hclog.Logger
	namespaces *namespaces
}

var (
	_ sdk.Upstream    = (*Adapter)(nil)
	_ sdk.Downstream  = (*Adapter)(nil)
	_ sdk.AfterPusher = (*Adapter)(nil)
	_ sdk.Retirer     = (*Adapter)(nil)
	_ sdk.Checker     = (*Adapter)(nil)
	_ sdk.PathChecker = (*Adapter)(nil)
	_ io.Closer       = (*Adapter)(nil)
)

// Plugin defines the adapter.
func Plugin() *sdk.Plugin {
	return sdk.Define("gitlab", open,
		sdk.WithSummary("GitLab, Community and Enterprise Edition, and GitLab.com."), sdk.WithMaxConcurrency(8))
}

// Close implements io.Closer.
func (a *Adapter) Close() error { return a.api.Close() }

func open(_ context.Context, env sdk.Env, s Settings) (*Adapter, error) {
	transport := httpforge.Transport{
		CAFile: s.CAFile, Proxy: s.Proxy, ProxyUsername: s.ProxyUsername, ProxyPassword: s.ProxyPassword,
		CheckCertificates: s.CheckCertificates, InsecureCredentials: s.InsecureCredentials,
	}
	c, err := transport.Connect(env, s.address(), "Bearer", s.Token, "api", "v4")
	if err != nil {
		return nil, err
	}
	return &Adapter{settings: s, role: c.Role, site: c.Site, api: c.API, log: env.Log, namespaces: newNamespaces(time.Now)}, nil
}

// project is what the adapter reads of a project. Only fields that exist since
// GitLab 13 are relied on.
type project struct {
	ID               int64          `json:"id"`
	Path             string         `json:"path_with_namespace"`
	SSHURL           string         `json:"ssh_url_to_repo"`
	DefaultBranch    string         `json:"default_branch"`
	Description      string         `json:"description"`
	Visibility       sdk.Visibility `json:"visibility"`
	Archived         bool           `json:"archived"`
	EmptyRepo        bool           `json:"empty_repo"`
	ForkedFrom       *struct{}      `json:"forked_from_project"`
	LastActivity     string         `json:"last_activity_at"`
	Mirror           bool           `json:"mirror"`
	DeletionOn       string         `json:"marked_for_deletion_on"`
	DeletionAt       string         `json:"marked_for_deletion_at"` // GitLab 13's name
	LFS              bool           `json:"lfs_enabled"`
	WikiAccess       string         `json:"wiki_access_level"`
	RepositoryAccess string         `json:"repository_access_level"`
	Topics           []string       `json:"topics"`
	TagList          []string       `json:"tag_list"` // topics until GitLab 14
	Namespace        projectSpace   `json:"namespace"`
}

type projectSpace struct {
	ID   int64  `json:"id"`
	Kind string `json:"kind"`
	Path string `json:"full_path"`
}

// deleted gives the day from which on a project is gone, or "".
func (p *project) deleted() string {
	if p.DeletionOn != "" {
		return p.DeletionOn
	}
	return p.DeletionAt
}

func (p *project) disabled() bool { return p.RepositoryAccess == "disabled" }

func (p *project) topics() []string {
	if len(p.Topics) > 0 {
		return p.Topics
	}
	return p.TagList
}

func (p *project) visibility() sdk.Visibility {
	switch p.Visibility {
	case sdk.VisibilityPrivate, sdk.VisibilityInternal, sdk.VisibilityPublic:
		return p.Visibility
	default:
		return sdk.VisibilityUnknown
	}
}

// repo gives the facts about a project.
func (a *Adapter) repo(p *project) (sdk.Repo, error) {
	r := sdk.Repo{
		ID:          strconv.FormatInt(p.ID, 10),
		Path:        p.Path,
		Description: p.Description,
		Visibility:  p.visibility(),
		Archived:    p.Archived,
		Empty:       p.EmptyRepo,
		Fork:        p.ForkedFrom != nil,
		Disabled:    p.disabled(),
		ChangeHint:  p.LastActivity,
	}
	if p.DefaultBranch != "" && !p.EmptyRepo {
		r.Head = "refs/heads/" + p.DefaultBranch
	}
	var err error
	r.CloneURL, err = a.site.CloneURL(p.Path, p.SSHURL)
	return r, err
}

// access gives how git reaches a repository.
func (a *Adapter) access(cloneURL string) sdk.Access {
	s := a.settings
	if s.Password.Empty() {
		return a.site.Access(cloneURL, "", s.Token)
	}
	return a.site.Access(cloneURL, s.Username, s.Password)
}

// project asks for one project by its full path. GitLab follows the old paths
// of a renamed project; that is told, since a mirror goes by path.
func (a *Adapter) project(ctx context.Context, path string) (*project, error) {
	if err := httpforge.CheckPath(path); err != nil {
		return nil, err
	}
	var p project
	req := httpforge.Request{Path: []string{"projects", path}, What: "project " + strconv.Quote(path)}
	if _, err := a.api.Do(ctx, req, &p); err != nil {
		return nil, httpforge.About(err, path)
	}
	if p.ID == 0 || p.Path == "" {
		return nil, sdk.Errorf(sdk.Internal, "project %q: %s gives neither id nor path", path, a.api.Host())
	}
	if !strings.EqualFold(p.Path, path) {
		return &p, &httpforge.Moved{What: "project", From: path, To: p.Path}
	}
	return &p, nil
}

func number(id int64) string { return strconv.FormatInt(id, 10) }

// perPage is the largest page that GitLab gives.
const perPage = "100"

func query(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return q
}
