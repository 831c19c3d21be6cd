package forgetest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest"
	"github.com/lorry-controller/lorry-controller/sdk/sdktest"
)

// settings and adapter are an adapter for the fake forge, as one for a real
// forge would be.
type settings struct {
	URL   *url.URL   `setting:"url" doc:"Address of the forge." required:"true"`
	Token sdk.Secret `setting:"token" doc:"Token."`
}

type adapter struct {
	settings
	http *http.Client
}

func plugin() *sdk.Plugin {
	return sdk.Define("fakeforge", func(_ context.Context, env sdk.Env, s settings) (*adapter, error) {
		return &adapter{s, env.HTTP}, nil
	}, sdk.WithVersion("1"))
}

// call makes one request and decodes the answer.
func (a *adapter) call(ctx context.Context, method, path, query string, body, into any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return err
	}
	u := a.URL.JoinPath("api", "repos", url.PathEscape(path))
	u.RawQuery = query
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(raw))
	if err != nil {
		return err
	}
	req.Header.Set("Private-Token", a.Token.Reveal())
	resp, err := a.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode >= 300 {
		return sdk.HTTPError(resp, fmt.Sprintf("repository %q", path))
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return sdk.Errorf(sdk.Unavailable, "the forge answers something that is not JSON: %w", err)
	}
	return nil
}

func (a *adapter) Repos(ctx context.Context, _ sdk.Query) iter.Seq2[sdk.Repo, error] {
	return func(yield func(sdk.Repo, error) bool) {
		for page := 1; ; page++ {
			var list []forgetest.Repo
			if err := a.call(ctx, http.MethodGet, "", fmt.Sprintf("page=%d&per_page=50", page), nil, &list); err != nil {
				yield(sdk.Repo{}, err)
				return
			}
			for _, r := range list {
				if !yield(a.repo(r), nil) {
					return
				}
			}
			if len(list) < 50 {
				return
			}
		}
	}
}

func (a *adapter) repo(r forgetest.Repo) sdk.Repo {
	return sdk.Repo{ID: fmt.Sprint(r.ID), Path: r.Path, CloneURL: a.URL.JoinPath(r.Path + ".git").String(), Description: r.Description}
}

func (a *adapter) Repo(ctx context.Context, path string) (sdk.Repo, sdk.Access, error) {
	var r forgetest.Repo
	if !plain(path) {
		return sdk.Repo{}, sdk.Access{}, sdk.Errorf(sdk.NotFound, "there is no repository %q", path)
	}
	if err := a.call(ctx, http.MethodGet, path, "", nil, &r); err != nil {
		return sdk.Repo{}, sdk.Access{}, err
	}
	return a.repo(r), sdk.Access{URL: a.repo(r).CloneURL, Username: "token", Secret: a.Token}, nil
}

func (a *adapter) Ensure(ctx context.Context, want sdk.Want) (sdk.Have, error) {
	if !plain(want.Path) {
		return sdk.Have{}, sdk.Errorf(sdk.Invalid, "the path %q is not allowed", want.Path)
	}
	wish := forgetest.Repo{Path: want.Path, Description: want.Description}
	var r forgetest.Repo
	err := a.call(ctx, http.MethodPost, "", "", wish, &r)
	created := err == nil
	if err != nil && sdk.KindOf(err) == sdk.Conflict { // it is there
		err = a.call(ctx, http.MethodPatch, want.Path, "", wish, &r)
	}
	return sdk.Have{Access: sdk.Access{URL: a.repo(r).CloneURL, Secret: a.Token}, Created: created}, err
}

func plain(path string) bool {
	for _, c := range path {
		if c < ' ' {
			return false
		}
	}
	u, err := url.Parse("x:/" + path)
	return err == nil && path != "" && u.JoinPath().Path == "/"+path
}

const token = "a-token-of-the-test"

func newForge(t *testing.T, n int) (*forgetest.Forge, sdktest.Host) {
	t.Helper()
	f := forgetest.NewForge(t)
	f.RequireToken(token)
	for i := range n {
		f.Add(forgetest.Repo{Path: fmt.Sprintf("group/repo%d", i)})
	}
	return f, sdktest.Host{Settings: map[string]any{"url": f.URL}, Secrets: map[string]string{"token": token}}
}

func TestAdapterOfTheFakeForgeConforms(t *testing.T) {
	forge, host := newForge(t, 3)
	_, empty := newForge(t, 0)
	sdktest.Conform(t, plugin(), sdktest.Fixture{
		Upstream: host, Repos: []string{"group/repo0", "group/repo1", "group/repo2"},
		Downstream: empty,
		Seed: func(n int) (sdktest.Host, error) {
			_, host := newForge(t, n)
			return host, nil
		},
	})
	authorized := 0
	for _, r := range forge.Requests() {
		if r.UserAgent != "lorry-adapter-fakeforge/1" {
			t.Errorf("request %+v", r)
		}
		if r.Authorized { // the suite also tries wrong tokens
			authorized++
		}
	}
	if authorized == 0 {
		t.Error("the token was never sent")
	}
}

func TestFaultsComeAsOrdered(t *testing.T) {
	t.Parallel()
	forge, _ := newForge(t, 120)
	u, err := url.Parse(forge.URL)
	if err != nil {
		t.Fatal(err)
	}
	// http.DefaultTransport is shared; a client of its own can be closed.
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	a := &adapter{settings{u, sdk.NewSecret(token)}, client}
	list := func() (count int, err error) {
		for _, e := range a.Repos(t.Context(), sdk.Query{}) {
			if e != nil {
				return count, e
			}
			count++
		}
		return count, nil
	}
	forge.Break(forgetest.Fault{Prefix: "/api/repos", After: 1, Status: http.StatusBadGateway})
	if n, err := list(); n != 50 || err == nil || sdk.KindOf(err) != sdk.Unavailable {
		t.Errorf("a fault at the second page: %d, %v", n, err)
	}
	forge.Break(forgetest.Fault{Status: http.StatusOK, Body: "[", Cut: true})
	if n, err := list(); n != 0 || err == nil {
		t.Errorf("a cut answer: %d, %v", n, err)
	}
	if n, err := list(); n != 120 || err != nil {
		t.Errorf("afterwards: %d, %v", n, err)
	}
	forge.RateLimit("7")
	var e *sdk.Error
	if _, err := list(); err == nil || errors.As(err, &e) && e.RetryAfter > time.Minute {
		t.Errorf("a limit: %v", err)
	}
	forge.RequireToken("another")
	if _, err := list(); err == nil || sdk.KindOf(err) != sdk.Unauthenticated {
		t.Errorf("a refused token: %v", err)
	}
	forge.Remove("group/repo0")
	if got := len(forge.Repos()); got != 119 {
		t.Errorf("%d repositories are left", got)
	}
}
