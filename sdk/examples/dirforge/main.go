// Command lorry-adapter-dirforge is a complete adapter to start from: its
// "forge" is a directory with one sub-directory for each repository. Copy it,
// and put your forge's calls where it reads the directory.
package main

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/lorry-controller/lorry-controller/sdk"
)

// Settings are what the adapter is configured with.
type Settings struct {
	Directory string     `setting:"directory" doc:"Directory with one sub-directory for each repository." required:"true"`
	CloneURL  *url.URL   `setting:"clone-url" doc:"URL below which the repositories can be cloned." default:"https://git.example.com/"`
	Token     sdk.Secret `setting:"token" doc:"Token to clone with."`
}

type forge struct {
	Settings
	env sdk.Env
}

func main() { sdk.Main(Plugin()) }

// Plugin defines the adapter.
func Plugin() *sdk.Plugin {
	return sdk.Define("dirforge", open, sdk.WithVersion("1.0.0"), sdk.WithSummary("Directories as repositories, an example."))
}

func open(_ context.Context, env sdk.Env, s Settings) (*forge, error) { return &forge{s, env}, nil }

// Repos implements sdk.Upstream.
func (f *forge) Repos(_ context.Context, _ sdk.Query) iter.Seq2[sdk.Repo, error] {
	return func(yield func(sdk.Repo, error) bool) {
		entries, err := os.ReadDir(f.Directory)
		if err != nil {
			yield(sdk.Repo{}, sdk.Errorf(sdk.Unavailable, "can't list: %w", err))
			return
		}
		for _, e := range entries {
			if e.IsDir() && !yield(f.repo(e.Name()), nil) {
				return
			}
		}
	}
}

// Repo implements sdk.Upstream.
func (f *forge) Repo(_ context.Context, path string) (sdk.Repo, sdk.Access, error) {
	if path == "" || path == "." || path == ".." || strings.ContainsAny(path, "/\x00") {
		return sdk.Repo{}, sdk.Access{}, sdk.Errorf(sdk.NotFound, "there is no repository %q", path)
	}
	info, err := os.Stat(filepath.Join(f.Directory, path))
	switch {
	case errors.Is(err, fs.ErrNotExist), err == nil && !info.IsDir():
		return sdk.Repo{}, sdk.Access{}, sdk.Errorf(sdk.NotFound, "there is no repository %q", path)
	case err != nil:
		return sdk.Repo{}, sdk.Access{}, sdk.Errorf(sdk.Unavailable, "can't look: %w", err)
	}
	repo := f.repo(path)
	return repo, sdk.Access{URL: repo.CloneURL, Username: "token", Secret: f.Token}, nil
}

// Check implements sdk.Checker, which is optional.
func (f *forge) Check(context.Context) (sdk.Report, error) {
	if _, err := os.ReadDir(f.Directory); err != nil {
		return sdk.Report{}, sdk.WithHint(sdk.Errorf(sdk.Unavailable, "can't list: %w", err), "is the directory mounted?")
	}
	return sdk.Report{ServerVersion: "dirforge 1"}, nil
}

func (f *forge) repo(name string) sdk.Repo {
	return sdk.Repo{Path: name, CloneURL: f.CloneURL.JoinPath(name + ".git").String(), Head: "refs/heads/main"}
}
