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
	refs, _, err := p.list(ctx)
	return refs, err
}

// list gives the symbolic refs beside, with what they stand for, as far as the
// server tells: by version 2 of the protocol.
func (p *Push) list(ctx context.Context) (refs, links map[string]string, err error) {
	if p.Local != "" {
		if _, err := os.Stat(filepath.Join(p.Local, "HEAD")); err == nil {
			target := &repo.Repo{Dir: p.Local, Git: p.Repo.Git, Files: p.Repo.Files}
			if refs, links, err = target.Links(ctx); err != nil {
				return nil, nil, gitfail.From(err, gitfail.Downstream)
			}
			return refs, links, nil
		}
	}
	if l, ok := p.listHere(ctx); ok {
		return l.Map(), l.Links, nil
	}
	call := p.Repo.Call("ls-remote", "--refs", "--symref", "--", p.Access.URL)
	call.Protocols, call.Access = lsrefs.Protocols(p.Access.URL), &p.Access
	out, err := p.Repo.Git.Output(ctx, call)
	if err != nil {
		return nil, nil, gitfail.From(err, gitfail.Downstream)
	}
	l, err := lsrefs.ParseLsRemote(strings.NewReader(out))
	if err != nil {
		return nil, nil, gitfail.New(core.FailNotGit, gitfail.Downstream, gitfail.Hint(core.FailNotGit, gitfail.Downstream), "downstream: %v", err)
	}
	return l.Map(), l.Links, nil
}

// listHere does it in this process, without the programs that git starts. What
// is in its way is for git to meet again, and to tell.
func (p *Push) listHere(ctx context.Context) (lsrefs.Listing, bool) {
	if p.Reader == nil || !overHTTP(p.Access.URL) {
		return lsrefs.Listing{}, false
	}
	ctx, stop := context.WithTimeout(ctx, p.Repo.Git.Patience())
	defer stop()
	l, err := p.Reader.Read(ctx, p.Access, lsrefs.Options{Route: p.Route, Git: p.Repo.Git, ExtraFiles: p.Repo.Files})
	if err != nil {
		return lsrefs.Listing{}, false
	}
	return l, true
}

func overHTTP(url string) bool {
	return strings.HasPrefix(url, "http://") || strings.HasPrefix(url, "https://")
}
