package sdktest

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"

	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/sdktest/suite"
)

// strict is a forge in memory as strict as the strictest: OWNER/NAME alone, no
// difference between upper and lower case, some names reserved. fault names
// what is wrong with the adapter.
type strict struct {
	fault string
	token string
	env   sdk.Env
	mu    sync.Mutex
	repos map[string]bool
}

type strictSettings struct {
	Fault string     `setting:"fault" doc:"What is wrong." default:""`
	Token sdk.Secret `setting:"token" doc:"The password." required:"true"`
}

func strictPlugin() *sdk.Plugin {
	return sdk.Define("strict", func(_ context.Context, env sdk.Env, s strictSettings) (*strict, error) {
		return &strict{fault: s.Fault, token: s.Token.Reveal(), env: env, repos: map[string]bool{"acme/one": true, "acme/two": true}}, nil
	}, sdk.WithVersion("1"))
}

func (s *strict) Repos(context.Context, sdk.Query) iter.Seq2[sdk.Repo, error] {
	return func(yield func(sdk.Repo, error) bool) {
		paths := []string{"acme/one", "acme/two"}
		switch s.fault {
		case "lists twice":
			paths = append(paths, "acme/two")
		case "lists too little":
			paths = paths[:1]
		}
		for _, path := range paths {
			if !yield(repo(path), nil) {
				return
			}
		}
	}
}

func repo(path string) sdk.Repo {
	return sdk.Repo{Path: path, CloneURL: "https://git.example.com/" + path}
}

func (s *strict) Repo(_ context.Context, path string) (sdk.Repo, sdk.Access, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault == "finds anything" || s.repos[path] {
		return repo(path), sdk.Access{URL: repo(path).CloneURL}, nil
	}
	if s.fault == "tells its secret" {
		return sdk.Repo{}, sdk.Access{}, sdk.WithHint(sdk.Errorf(sdk.NotFound, "no %q", path), "looked with "+s.token)
	}
	if s.fault == "logs its secret" {
		s.env.Log.Info("asked", "token", s.token)
	}
	return sdk.Repo{}, sdk.Access{}, sdk.Errorf(sdk.NotFound, "no %q", path)
}

func (s *strict) CheckPath(path string) (string, error) {
	switch {
	case s.fault == "checks nothing":
		return path, nil
	case s.fault == "takes all for one":
		return "one", nil
	case s.fault == "checks too much" && strings.Contains(path, "group"):
		return "", sdk.Errorf(sdk.Invalid, "no groups")
	}
	parts := strings.Split(path, "/")
	if len(parts) != 2 || strings.ContainsAny(path, "\x00\n\\ ") {
		return "", sdk.WithHint(sdk.Errorf(sdk.Invalid, "the path %q has not exactly two components", path), "map it with a prefix")
	}
	for _, p := range parts {
		if p == "" || p == "." || p == ".." || p == "reserved" {
			return "", sdk.Errorf(sdk.Invalid, "the name %q can't be", p)
		}
	}
	return strings.ToLower(path), nil
}

func (s *strict) Ensure(_ context.Context, want sdk.Want) (sdk.Have, error) {
	normal, err := s.CheckPath(want.Path)
	if err != nil && s.fault != "makes anything" {
		return sdk.Have{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	created := !s.repos[normal] || s.fault == "makes it again"
	s.repos[normal] = true
	return sdk.Have{Access: sdk.Access{URL: "https://git.example.com/" + normal}, Created: created}, nil
}

func strictFixture(fault string) Fixture {
	h := Host{Settings: map[string]any{"fault": fault}, Secrets: map[string]string{"token": "canary-of-the-suite"}}
	return Fixture{
		Upstream: h, Repos: []string{"acme/one", "acme/two"},
		Downstream: h, MaxDepth: 2, Refused: []string{"acme/reserved"},
	}
}

func TestStrictHostConforms(t *testing.T) { Conform(t, strictPlugin(), strictFixture("")) }

// TestFaultsAreFound: each fault fails its case, so that the case can fail.
func TestFaultsAreFound(t *testing.T) {
	t.Parallel()
	for fault, name := range map[string]string{
		"lists twice":       "lists every repository once",
		"lists too little":  "lists every repository once",
		"finds anything":    "does not find a missing repository",
		"tells its secret":  "keeps secrets out of errors",
		"logs its secret":   "does not find a missing repository",
		"checks nothing":    "checks paths as it makes them",
		"takes all for one": "checks paths as it makes them",
		"checks too much":   "checks paths as it makes them",
		"makes anything":    "refuses paths that the host can't have",
		"makes it again":    "makes a repository, once",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			if err := runCase(t, name, strictFixture(fault)); err == nil {
				t.Errorf("%q passes", name)
			}
			if err := runCase(t, name, strictFixture("")); err != nil {
				t.Errorf("without the fault: %v", err)
			}
		})
	}
}

// runCase runs one case of the suite.
func runCase(t *testing.T, name string, fx Fixture) error {
	t.Helper()
	open := func(context.Context) (*suite.Conn, error) { return inProcess(strictPlugin()) }
	trial, err := suite.Begin(t.Context(), open, fx)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range suite.Cases() {
		if c.Name == name {
			return trial.Run(t.Context(), c)
		}
	}
	t.Fatal(fmt.Errorf("there is no case %q", name))
	return nil
}
