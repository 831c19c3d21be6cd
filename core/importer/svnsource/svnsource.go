// Package svnsource brings a Subversion repository into the working area by
// git svn: trunk becomes branch master, branches and tags keep their names.
// git svn works on refs of its own; branches and tags change all at once when
// it has ended, so that a run that dies leaves a longer history to go on from
// and nothing else.
//
// It must not touch the Downstream Host.
package svnsource

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
	"github.com/lorry-controller/lorry-controller/core/importer/workcopy"
	"github.com/lorry-controller/lorry-controller/core/spec"
)

// Source is one Subversion repository and its place in the working area.
type Source struct {
	workcopy.Copy
	Access core.Access
	// Layout says where the repository keeps what; nil is the standard one.
	Layout *spec.Layout
}

const (
	master = "refs/heads/master"
	// Where git svn keeps its refs.
	trunkRef  = "refs/lorry/svn/trunk"
	headsRefs = "refs/lorry/svn/heads/"
	tagsRefs  = "refs/lorry/svn/tags/"
	// recordName is a file in the repository that says where it came from.
	recordName = "lorry-svn"
)

// record is what the working copy was made from.
type record struct {
	URL    string      `json:"url"` // the first one, which is in every commit
	UUID   string      `json:"uuid"`
	Layout spec.Layout `json:"layout"`
	// Last is what was fetched last, and From the url that it was asked of.
	Last last   `json:"last"`
	From string `json:"from"`
}

// info is what a repository says of itself: the last revision in which
// something changed, and when; and where below its root the url leads.
type info struct{ uuid, revision, date, path string }

// last is the last revision that was fetched.
type last struct {
	Revision int64  `json:"revision"`
	Date     string `json:"date"` // as the repository tells it
}

func (s *Source) layout() spec.Layout {
	l := spec.Layout{Trunk: "trunk", Branches: "branches/*", Tags: "tags/*"}
	if s.Layout != nil {
		l = *s.Layout
	}
	for _, part := range []*string{&l.Trunk, &l.Branches, &l.Tags} {
		*part = strings.Trim(*part, "/")
	}
	if l.Trunk == "" {
		l.Trunk = "." // the url itself
	}
	for _, part := range []*string{&l.Branches, &l.Tags} {
		if *part != "" && !strings.ContainsAny(*part, "*{") {
			*part += "/*"
		}
	}
	return l
}

// List asks for the last revision in which anything changed.
func (s *Source) List(ctx context.Context) (lsrefs.Listing, error) {
	i, err := s.info(ctx)
	if err != nil {
		return lsrefs.Listing{}, err
	}
	return s.listing(i), nil
}

func (s *Source) listing(i info) lsrefs.Listing {
	// Layouts and texts are plain, so that this cannot fail.
	mark, _ := json.Marshal([]any{s.Access.URL, i.uuid, i.revision, i.date, s.layout()})
	return lsrefs.FromMap(map[string]string{master: string(mark)}, master)
}

// info asks the repository.
func (s *Source) info(ctx context.Context) (info, error) {
	if strings.HasPrefix(s.Access.URL, "http://") || strings.HasPrefix(s.Access.URL, "https://") {
		return s.infoOverHTTP(ctx)
	}
	return s.infoAt(ctx, "HEAD")
}

// infoAt asks the client svn, as of a revision.
func (s *Source) infoAt(ctx context.Context, revision string) (info, error) {
	out, err := s.svn(ctx, "info", "-r", revision, "--", s.Access.URL+"@")
	if err != nil {
		return info{}, gitfail.From(err, gitfail.Upstream)
	}
	var i info
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch key {
		case "Repository UUID":
			i.uuid = value
		case "Last Changed Rev":
			i.revision = value
		case "Last Changed Date":
			i.date = value
		case "Relative URL":
			if path, err := url.PathUnescape(strings.TrimPrefix(value, "^/")); err == nil {
				i.path = path
			}
		}
	}
	if i.uuid == "" || i.revision == "" {
		return info{}, noSubversion()
	}
	return i, nil
}

// Update fetches what is new. The error is a *gitfail.Error; branches and tags
// are then what they were before.
func (s *Source) Update(ctx context.Context, _ lsrefs.Listing) (workcopy.Result, error) {
	return s.Run(ctx, s.update)
}

func (s *Source) update(ctx context.Context) (workcopy.Result, error) {
	// What is asked before the fetch cannot claim more than was fetched.
	now, err := s.info(ctx)
	if err != nil {
		return workcopy.Result{}, err
	}
	rec, err := s.prepare(ctx, now)
	if err != nil {
		return workcopy.Result{}, err
	}
	before, err := s.Repo.Refs(ctx, "refs/lorry/svn/")
	if err != nil {
		return workcopy.Result{}, gitfail.From(err, gitfail.Local)
	}
	// So does what is listed before it.
	places := s.places(ctx)
	have, err := s.Local(ctx)
	if err != nil {
		return workcopy.Result{}, gitfail.From(err, gitfail.Local)
	}
	began := s.Clock()
	fmt.Fprintln(s.Out, ".. fetching revisions")
	if err := s.fetchOnly(ctx, rec, now); err != nil {
		return workcopy.Result{}, err
	}
	refs, err := s.Repo.Refs(ctx, "refs/lorry/svn/")
	if err != nil {
		return workcopy.Result{}, gitfail.From(err, gitfail.Local)
	}
	wanted, left, err := s.choose(ctx, rec, now, places, have, refs, s.Clock().Sub(began))
	if err != nil {
		return workcopy.Result{}, err
	}
	if workcopy.Differing(before, refs) > 0 {
		// git svn writes a file for each object.
		if err := s.Repo.Git.Run(ctx, s.Repo.Call("repack", "-q", "-d")); err != nil {
			return workcopy.Result{}, gitfail.From(err, gitfail.Local)
		}
		if err := repo.SyncDisk(s.Repo.Dir); err != nil {
			return workcopy.Result{}, gitfail.From(err, gitfail.Local)
		}
		s.tellExternals()
	}
	if len(before) == 0 {
		s.tellEarlier(ctx, refs[trunkRef], now)
	}
	res, err := s.Put(ctx, wanted, master)
	if err != nil {
		return res, err
	}
	rec.Last, rec.From = now.last(), s.Access.URL
	if err := repo.WriteRecord(filepath.Join(s.Repo.Dir, recordName), rec); err != nil {
		return workcopy.Result{}, gitfail.From(err, gitfail.Local)
	}
	res.Upstream, res.Left = s.listing(now), left
	return res, nil
}

// choose gives the branches and tags to mirror of git svn's refs, and says, as a
// *gitfail.Error, what is not among them. Fetching took so long.
func (s *Source) choose(ctx context.Context, rec record, now info, places map[string]place, have, refs map[string]string, fetching time.Duration) (wanted map[string]string, left, err error) {
	for ref := range refs {
		// git svn adds the like for the places that others were moved from.
		plain, err := url.PathUnescape(ref)
		if artefact.MatchString(ref) && have[mirrored(ref)] == "" && (err != nil || places[plain].ref == "") {
			delete(refs, ref)
		}
	}
	if wanted, err = s.wanted(refs); err != nil {
		return nil, nil, err
	}
	asked := s.asked(wanted, places)
	compared := &comparison{Source: s, rec: rec, now: now, have: have}
	partial, left := compared.partial(ctx, places, refs, asked, fetching)
	for _, name := range partial {
		if delete(wanted, name); have[name] != "" {
			wanted[name] = have[name]
		}
	}
	if len(wanted) == 0 && left != nil {
		return nil, nil, left
	}
	if left == nil {
		maps.DeleteFunc(places, func(_ string, p place) bool { return !asked[mirrored(p.ref)] })
		left = s.missing(ctx, places, refs, now)
	}
	return wanted, left, nil
}

// fetchOnly fetches and removes the branch that git svn makes for a HEAD that
// has none.
func (s *Source) fetchOnly(ctx context.Context, rec record, now info) error {
	before, err := s.Local(ctx)
	if err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	if err := s.fetch(ctx, rec, now); err != nil {
		return err
	}
	after, err := s.Local(ctx)
	if err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	var added []repo.Change
	for name := range after {
		if before[name] == "" {
			added = append(added, repo.Change{Ref: name})
		}
	}
	if err := s.Repo.Apply(ctx, added); err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	return nil
}

// prepare makes the repository fit the specification, or anew when the layout
// is another.
func (s *Source) prepare(ctx context.Context, now info) (record, error) {
	rec := record{URL: s.Access.URL, UUID: now.uuid, Layout: s.layout()}
	old, ok := s.record()
	switch {
	case ok && old.UUID != now.uuid:
		return rec, gitfail.New(core.FailDiverged, gitfail.Upstream,
			"if that is meant, remove this Lorry's directory from the working area: its whole history is then another",
			"upstream: this is another Subversion repository (%s) than the one that was mirrored (%s)", now.uuid, old.UUID)
	case ok && old.Layout != rec.Layout:
		fmt.Fprintln(s.Out, ".. the layout is another: importing anew")
		if err := s.Area.SetAside(s.KeepOld); err != nil {
			return rec, gitfail.From(err, gitfail.Local)
		}
		if err := s.Ensure(ctx); err != nil {
			return rec, err
		}
	case ok:
		rec.URL, rec.Last, rec.From = old.URL, old.Last, old.From
		if err := s.same(ctx, rec, now); err != nil {
			return rec, err
		}
	}
	if err := repo.WriteRecord(filepath.Join(s.Repo.Dir, recordName), rec); err != nil {
		return rec, gitfail.From(err, gitfail.Local)
	}
	if err := sweep(filepath.Join(s.Repo.Dir, "svn")); err != nil {
		return rec, gitfail.From(err, gitfail.Local)
	}
	return rec, nil
}

// sweep removes the locks that a dead run left in git svn's own files.
func sweep(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case os.IsNotExist(err):
			return nil
		case err == nil && !d.IsDir() && strings.HasSuffix(path, ".lock"):
			return os.Remove(path)
		}
		return err
	})
}

// artefact is what git svn adds to the name of a place before it was moved.
var artefact = regexp.MustCompile(`@[0-9]+$`)

// mirrored is the branch or tag that a ref of git svn becomes.
func mirrored(ref string) string {
	if ref == trunkRef {
		return master
	}
	return "refs/" + strings.TrimPrefix(ref, "refs/lorry/svn/")
}

// wanted names what git svn has made.
func (s *Source) wanted(refs map[string]string) (map[string]string, error) {
	wanted := make(map[string]string)
	for ref, object := range refs {
		branch, isBranch := strings.CutPrefix(ref, headsRefs)
		switch {
		case ref == trunkRef:
			wanted[master] = object
		case isBranch && branch == "master":
			return nil, gitfail.New(core.FailSpec, gitfail.Upstream, "name the other branches one by one in the layout",
				"upstream: it has a branch %q, which is the name that trunk gets", branch)
		case isBranch, strings.HasPrefix(ref, tagsRefs):
			wanted[mirrored(ref)] = object
		}
	}
	if len(wanted) == 0 {
		return nil, gitfail.New(core.FailEmpty, gitfail.Upstream, "check the layout: standard means trunk, branches and tags directly below the url; and that the account may read it",
			"upstream: there is nothing at %q, nor a branch or tag", s.layout().Trunk)
	}
	if wanted[master] == "" {
		fmt.Fprintf(s.Out, ".. warning: upstream has nothing at %q, so that there is no branch master\n", s.layout().Trunk)
	}
	return wanted, nil
}

func (s *Source) record() (record, bool) {
	var r record
	ok := repo.ReadRecord(filepath.Join(s.Repo.Dir, recordName), &r)
	return r, ok && r.UUID != ""
}
