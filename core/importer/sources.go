package importer

import (
	"context"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/archive"
	"github.com/lorry-controller/lorry-controller/core/importer/bzrsource"
	"github.com/lorry-controller/lorry-controller/core/importer/cvssource"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/gitsource"
	"github.com/lorry-controller/lorry-controller/core/importer/hgsource"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/importer/rawfile"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
	"github.com/lorry-controller/lorry-controller/core/importer/svnsource"
	"github.com/lorry-controller/lorry-controller/core/importer/workcopy"
	"github.com/lorry-controller/lorry-controller/core/spec"
)

// source is one kind of upstream.
type source interface {
	// List looks at upstream and changes nothing. A source that is no git
	// repository gives its branches with something that changes when they do;
	// it gives no refs at all when nothing cheap can tell.
	List(ctx context.Context) (lsrefs.Listing, error)
	// Update makes the working area what upstream has. After an error, a
	// *gitfail.Error, its refs are what they were before.
	Update(ctx context.Context, upstream lsrefs.Listing) (workcopy.Result, error)
}

// source makes the source that the specification names. place is where it
// works; its Area is nil as long as nothing but List is called.
func (j *job) source(place workcopy.Copy) (source, error) {
	switch j.Spec.Type {
	case spec.Git:
		return &gitsource.Source{Copy: place, Access: j.fetch, Reader: j.Reader, Limit: j.most}, nil
	case spec.Svn:
		return &svnsource.Source{Copy: place, Access: escaped(j.fetch), Layout: j.Spec.Layout}, nil
	case spec.Hg:
		return &hgsource.Source{Copy: place, Access: j.fetch, Bookmarks: j.Spec.Bookmarks}, nil
	case spec.Tarball, spec.Zip, spec.Gzip:
		place.Former = j.former(place, archive.Author)
		return &archive.Source{
			Copy: place, Kind: j.Spec.Type, Access: j.fetch, Path: LocalPath(j.fetch.URL), SHA256: j.Spec.SHA256, Env: j.Git.ToolEnv(),
		}, nil
	case spec.Bzr:
		return &bzrsource.Source{Copy: place, Branches: j.branches, Roots: j.roots()}, nil
	case spec.Cvs:
		return &cvssource.Source{Copy: place, Access: j.fetch, Module: j.Spec.Module, Open: j.Spec.InsecureCredentials}, nil
	case spec.RawFile:
		place.Former = j.former(place, rawfile.Author)
		return &rawfile.Source{Copy: place, Files: j.files}, nil
	}
	return nil, gitfail.New(core.FailSpec, gitfail.Upstream, "", "type %q is not supported by this version", j.Spec.Type)
}

// place is where a source works.
func (j *job) place(r *repo.Repo) workcopy.Copy {
	return workcopy.Copy{
		Area: j.area, Repo: r, Policy: j.policy, Clock: j.Clock, Log: j.Log,
		Out: j.Out, Progress: j.progress, Route: j.net.fetchRoute, KeepOld: j.KeepOld,
	}
}

// List reads what the Lorry's source has, as a job with nothing to do would,
// and keeps nothing. The error is a *gitfail.Error without credentials.
func List(ctx context.Context, o Options) (lsrefs.Listing, error) {
	o.PullOnly = true
	j := newJob(o)
	err := j.prepare()
	var listing lsrefs.Listing
	if err == nil {
		listing, err = j.list(ctx)
		err = j.disconnect(err)
	}
	if err != nil {
		e := *gitfail.From(err, gitfail.Upstream)
		e.Cause = childproc.Redact(e.Cause, j.secrets()...)
		return lsrefs.Listing{}, &e
	}
	return listing, nil
}

func (j *job) list(ctx context.Context) (lsrefs.Listing, error) {
	if err := j.connect(ctx); err != nil {
		return lsrefs.Listing{}, err
	}
	s, err := j.source(j.place(&repo.Repo{Git: j.net.fetchGit}))
	if err != nil {
		return lsrefs.Listing{}, err
	}
	return s.List(ctx)
}
