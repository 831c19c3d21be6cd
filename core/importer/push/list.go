package push

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
)

// List reads what downstream has. The error is a *gitfail.Error.
func (p *Push) List(ctx context.Context) (map[string]string, error) {
	if p.Local != "" {
		if _, err := os.Stat(filepath.Join(p.Local, "HEAD")); err == nil {
			target := &repo.Repo{Dir: p.Local, Git: p.Repo.Git, Files: p.Repo.Files}
			refs, err := target.Refs(ctx)
			if err != nil {
				return nil, gitfail.From(err, gitfail.Downstream)
			}
			return refs, nil
		}
	}
	if refs, ok := p.listHere(ctx); ok {
		return refs, nil
	}
	call := p.Repo.Call("ls-remote", "--refs", "--", p.Access.URL)
	call.Protocols, call.Access = lsrefs.Protocols(p.Access.URL), &p.Access
	out, err := p.Repo.Git.Output(ctx, call)
	if err != nil {
		return nil, gitfail.From(err, gitfail.Downstream)
	}
	l, err := lsrefs.ParseLsRemote(strings.NewReader(out))
	if err != nil {
		return nil, gitfail.New(core.FailNotGit, gitfail.Downstream, gitfail.Hint(core.FailNotGit, gitfail.Downstream), "downstream: %v", err)
	}
	return l.Map(), nil
}

// listHere does it in this process, without the programs that git starts. What
// is in its way is for git to meet again, and to tell.
func (p *Push) listHere(ctx context.Context) (map[string]string, bool) {
	if p.Reader == nil || !overHTTP(p.Access.URL) {
		return nil, false
	}
	ctx, stop := context.WithTimeout(ctx, p.Repo.Git.Patience())
	defer stop()
	l, err := p.Reader.Read(ctx, p.Access, lsrefs.Options{Route: p.Route, Git: p.Repo.Git, ExtraFiles: p.Repo.Files})
	if err != nil {
		return nil, false
	}
	return l.Map(), true
}

func overHTTP(url string) bool {
	return strings.HasPrefix(url, "http://") || strings.HasPrefix(url, "https://")
}
