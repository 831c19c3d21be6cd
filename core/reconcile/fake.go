package reconcile

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"os"

	"github.com/lorry-controller/lorry-controller/core"
)

// Faked gives Upstream Hosts whose listing comes from a file, for tests of an
// installation (debug-fake-trove), and all others from somewhere else. The
// file is JSON: {"ls-output": [PATH, …]}; it is read at every listing.
type Faked struct {
	Files map[string]string // by host
	Next  Upstreams
}

// Upstream implements Upstreams.
func (f Faked) Upstream(name string) (core.Upstream, error) {
	if file, fake := f.Files[name]; fake {
		return fakeUpstream{name, file}, nil
	}
	return f.Next.Upstream(name)
}

type fakeUpstream struct{ host, file string }

func (u fakeUpstream) paths() ([]string, error) {
	data, err := os.ReadFile(u.file)
	if err != nil {
		return nil, core.Errorf(core.KindUnavailable, "the faked listing of %q can't be read: %w", u.host, err)
	}
	var listing struct {
		Paths []string `json:"ls-output"`
	}
	if err := json.Unmarshal(data, &listing); err != nil {
		return nil, core.Errorf(core.KindInvalid, "the faked listing of %q in %s: %w", u.host, u.file, err)
	}
	return listing.Paths, nil
}

func (u fakeUpstream) repo(path string) core.Repo {
	return core.Repo{Path: path, CloneURL: fmt.Sprintf("ssh://git@%s/%s", u.host, path)}
}

// Repos implements core.Upstream.
func (u fakeUpstream) Repos(context.Context) iter.Seq2[core.Repo, error] {
	return func(yield func(core.Repo, error) bool) {
		paths, err := u.paths()
		if err != nil {
			yield(core.Repo{}, err)
		}
		for _, path := range paths {
			if !yield(u.repo(path), nil) {
				return
			}
		}
	}
}

// Repo implements core.Upstream.
func (u fakeUpstream) Repo(_ context.Context, path string) (core.Repo, core.Access, error) {
	repo := u.repo(path)
	return repo, core.Access{URL: repo.CloneURL}, nil
}
