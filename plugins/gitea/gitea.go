package gitea

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strconv"
	"strings"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/plugins/internal/httpforge"
	"github.com/lorry-controller/lorry-controller/sdk"
)

// Adapter is the adapter with its settings.
type Adapter struct {
	settings Settings
	role     sdk.Role
	site     httpforge.Site
	api      *httpforge.Client
	log      hclog.Logger
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

// Plugin defines the adapter. Four calls at a time are what small forges bear.
func Plugin() *sdk.Plugin {
	return sdk.Define("gitea", open, sdk.WithSummary("Gitea and Forgejo."), sdk.WithMaxConcurrency(4))
}

// Close implements io.Closer.
func (a *Adapter) Close() error { return a.api.Close() }

func open(_ context.Context, env sdk.Env, s Settings) (*Adapter, error) {
	transport := httpforge.Transport{
		CAFile: s.CAFile, Proxy: s.Proxy, ProxyUsername: s.ProxyUsername, ProxyPassword: s.ProxyPassword,
		CheckCertificates: s.CheckCertificates, InsecureCredentials: s.InsecureCredentials,
	}
	c, err := transport.Connect(env, s.address(), "token", s.token(), "api", "v1")
	if err != nil {
		return nil, err
	}
	return &Adapter{settings: s, role: c.Role, site: c.Site, api: c.API, log: env.Log}, nil
}

// repository is what the adapter reads of a repository. Fields that a version
// does not know are absent, which must mean the usual thing.
type repository struct {
	ID            int64    `json:"id"`
	FullName      string   `json:"full_name"`
	SSHURL        string   `json:"ssh_url"`
	DefaultBranch string   `json:"default_branch"`
	Description   string   `json:"description"`
	Empty         bool     `json:"empty"`
	Private       bool     `json:"private"`
	Internal      bool     `json:"internal"`
	Fork          bool     `json:"fork"`
	Mirror        bool     `json:"mirror"`
	Archived      bool     `json:"archived"`
	UpdatedAt     string   `json:"updated_at"`
	HasCode       *bool    `json:"has_code"`
	HasWiki       bool     `json:"has_wiki"`
	Topics        []string `json:"topics"`
	Owner         struct {
		Visibility sdk.Visibility `json:"visibility"`
	} `json:"owner"`
	Permissions *struct {
		Push bool `json:"push"`
	} `json:"permissions"`
}

// repoPage is a page of repositories, as a list or as a search gives it.
type repoPage []repository

// UnmarshalJSON implements json.Unmarshaler.
func (p *repoPage) UnmarshalJSON(raw []byte) error {
	var list []repository
	if !bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) {
		err := json.Unmarshal(raw, &list)
		*p = list
		return err
	}
	var found struct {
		Data []repository `json:"data"`
	}
	err := json.Unmarshal(raw, &found)
	*p = found.Data
	return err
}

// visibility tells who can read a repository: its own flag and its owner's.
func (r *repository) visibility() sdk.Visibility {
	switch {
	case r.Private || r.Owner.Visibility == "private":
		return sdk.VisibilityPrivate
	case r.Internal || r.Owner.Visibility == "limited":
		return sdk.VisibilityInternal
	default:
		return sdk.VisibilityPublic
	}
}

func (r *repository) disabled() bool { return r.HasCode != nil && !*r.HasCode }

// repo gives the facts about a repository.
func (a *Adapter) repo(r *repository) (sdk.Repo, error) {
	repo := sdk.Repo{
		ID:          strconv.FormatInt(r.ID, 10),
		Path:        r.FullName,
		Description: r.Description,
		Visibility:  r.visibility(),
		Archived:    r.Archived,
		Empty:       r.Empty,
		Fork:        r.Fork,
		Disabled:    r.disabled(),
		ChangeHint:  r.UpdatedAt,
	}
	if r.DefaultBranch != "" && !r.Empty {
		repo.Head = "refs/heads/" + r.DefaultBranch
	}
	var err error
	repo.CloneURL, err = a.site.CloneURL(r.FullName, r.SSHURL)
	return repo, err
}

// access gives how git reaches a repository.
func (a *Adapter) access(cloneURL string) sdk.Access {
	secret := a.settings.Password
	if secret.Empty() {
		secret = a.settings.token()
	}
	return a.site.Access(cloneURL, a.settings.Username, secret)
}

// repository asks for one repository. The forge follows the old names of a
// renamed one; that is told, since a mirror goes by path.
func (a *Adapter) repository(ctx context.Context, path string) (*repository, error) {
	if err := httpforge.CheckPath(path); err != nil {
		return nil, err
	}
	owner, name, ok := strings.Cut(path, "/")
	if !ok || strings.Contains(name, "/") {
		return nil, checkName(path)
	}
	var r repository
	req := httpforge.Request{Path: []string{"repos", owner, name}, What: "repository " + strconv.Quote(path)}
	if _, err := a.api.Do(ctx, req, &r); err != nil {
		return nil, httpforge.About(err, path)
	}
	if r.ID == 0 || r.FullName == "" {
		return nil, sdk.Errorf(sdk.Internal, "repository %q: %s gives neither id nor name", path, a.api.Host())
	}
	if !strings.EqualFold(r.FullName, path) {
		return &r, &httpforge.Moved{What: "repository", From: path, To: r.FullName}
	}
	return &r, nil
}
