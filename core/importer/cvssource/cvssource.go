// Package cvssource brings a CVS module into the working area by git cvsimport
// and cvsps: the trunk becomes branch master, branches and tags keep their
// names. New revisions are added to the last import where that gives the same
// as a fresh one, and are imported afresh where it would not.
//
// It must not touch the Downstream Host. Branches and tags change all at once,
// when everything is there.
package cvssource

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/fastimport"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
	"github.com/lorry-controller/lorry-controller/core/importer/workcopy"
)

// Source is one module of a CVS repository and its place in the working area.
type Source struct {
	workcopy.Copy
	// Access holds the CVSROOT as its URL.
	Access core.Access
	Module string
	// Open allows a password to be sent as pserver does, which anybody on the
	// way can read.
	Open bool
}

const (
	master = "refs/heads/master"
	heads  = "refs/heads/"
	tags   = "refs/tags/"
	// stateName is the directory of the import, beside the repository.
	stateName = "cvs"
	// recordName is a file in it that says what it was made of; while an import
	// is going on there is none.
	recordName = "imported"
	// imported are the refs that git cvsimport makes, and trunk is the name that
	// it gives the trunk: no branch of CVS can be called so.
	imported = "refs/remotes/cvs/"
	trunk    = "trunk.of.cvs"
	// scratch is where refs stand until everything is there.
	scratch = "refs/lorry/cvs/"
	// fuzz is how far apart the parts of one commit may be: what cvsps assumes.
	fuzz = 300 * time.Second
)

// record is what the state was made of.
type record struct {
	Root    string `json:"root"`
	Module  string `json:"module"`
	Symbols string `json:"symbols"`
	Total   int    `json:"total"`
	// Newest is the time of the newest commit, in seconds since 1970.
	Newest int64 `json:"newest"`
}

// List asks for the heads, symbols and counts of all files.
func (s *Source) List(ctx context.Context) (lsrefs.Listing, error) {
	now, err := s.look(ctx, nil)
	if err != nil {
		return lsrefs.Listing{}, err
	}
	return s.listing(now), nil
}

func (s *Source) listing(now facts) lsrefs.Listing {
	return lsrefs.FromMap(map[string]string{master: now.digest(s.Access.URL, s.Module)}, master)
}

// Update brings in what is new. The error is a *gitfail.Error; the refs are
// then what they were before.
func (s *Source) Update(ctx context.Context, _ lsrefs.Listing) (workcopy.Result, error) {
	return s.Run(ctx, s.update)
}

func (s *Source) update(ctx context.Context) (workcopy.Result, error) {
	// What is asked before the import cannot claim more than was imported.
	now, err := s.look(ctx, newTagged())
	if err != nil {
		return workcopy.Result{}, err
	}
	for _, name := range []string{"master", "HEAD"} {
		if now.branches[name] {
			return workcopy.Result{}, gitfail.New(core.FailSpec, gitfail.Upstream, "have the branch renamed there", "upstream: it has a branch %q, which is the name that the trunk gets", name)
		}
	}
	if err := s.bring(ctx, now); err != nil {
		return workcopy.Result{}, err
	}
	wanted, err := s.take(ctx, now)
	if err != nil {
		return workcopy.Result{}, err
	}
	res, err := s.Put(ctx, wanted, master)
	if err == nil {
		err = s.Repo.Restore(ctx, nil, scratch)
	}
	if err == nil {
		err = fastimport.Clear(ctx, s.Repo)
	}
	if err != nil {
		return workcopy.Result{}, gitfail.From(err, gitfail.Local)
	}
	res.Upstream = s.listing(now)
	return res, nil
}

// bring makes the state what the repository has.
func (s *Source) bring(ctx context.Context, now facts) error {
	state := s.Area.Path(stateName)
	old, ok := s.record(state)
	_, err := os.Stat(filepath.Join(s.tree(state).Dir, revisionsName))
	if err == nil && ok && old.Root == s.Access.URL && old.Module == s.Module && old.Symbols == now.symbols {
		if old.Total == now.total {
			return nil
		}
		later, err := s.later(ctx, time.Unix(old.Newest, 0).Add(fuzz))
		if err != nil {
			return err
		}
		if later == now.total-old.Total {
			err := s.add(ctx, state, now, later, old.Newest)
			if err == nil || ctx.Err() != nil {
				return err
			}
			fmt.Fprintf(s.Out, ".. the last import cannot be added to (%v)\n", err)
		}
	}
	fmt.Fprintln(s.Out, ".. importing all revisions")
	dir, err := s.Area.Temp()
	if err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	defer func() { _ = repo.Remove(dir) }()
	if err := s.run(ctx, dir, now, now.total); err != nil {
		return err
	}
	err = os.RemoveAll(state)
	if err == nil {
		err = os.Rename(dir, state)
	}
	if err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	return nil
}

// add adds so many revisions to a state, which has those up to a time, and makes
// sure that they came.
func (s *Source) add(ctx context.Context, state string, now facts, later int, newest int64) error {
	fmt.Fprintf(s.Out, ".. adding %d revisions\n", later)
	err := os.Remove(filepath.Join(state, recordName))
	if err == nil {
		err = rewind(filepath.Join(state, "home", ".cvsps"), newest)
	}
	if err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	path := filepath.Join(s.tree(state).Dir, revisionsName)
	before, err := readOrigins(path)
	if err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	if err := s.run(ctx, state, now, later); err != nil {
		return err
	}
	after, err := readOrigins(path)
	if err == nil && len(after)-len(before) != later {
		err = fmt.Errorf("%d of %d revisions came", len(after)-len(before), later)
	}
	if err != nil {
		_ = os.Remove(filepath.Join(state, recordName))
		return gitfail.From(err, gitfail.Local)
	}
	return nil
}

// rewind has cvsps ask for everything that is later than a time. It would ask
// for what is later than its last look by the clock of this machine, which may
// be ahead of the server's.
func rewind(dir string, to int64) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		version, rest, _ := strings.Cut(string(text), "\n")
		_, rest, ok := strings.Cut(rest, "\n")
		if !ok {
			continue
		}
		text = fmt.Appendf(nil, "%s\ncache date: %d\n%s", version, to, rest)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// run runs git cvsimport in a state, new or old, for so many revisions, and
// writes down what it is then.
func (s *Source) run(ctx context.Context, state string, now facts, revisions int) error {
	if err := s.cvsimport(ctx, state, revisions); err != nil {
		return err
	}
	tree := s.tree(state)
	refs, err := tree.Refs(ctx, imported)
	if err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	if refs[imported+trunk] == "" {
		return gitfail.New(core.FailEmpty, gitfail.Upstream, gitfail.Hint(core.FailEmpty, gitfail.Upstream), "upstream: the module gives no commit on its trunk")
	}
	newest, err := s.newest(ctx, tree)
	if err == nil {
		err = repo.WriteRecord(filepath.Join(state, recordName), record{s.Access.URL, s.Module, now.symbols, now.total, newest})
	}
	if err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	return nil
}

// tree is the repository that git cvsimport works in.
func (s *Source) tree(state string) *repo.Repo {
	return &repo.Repo{Dir: filepath.Join(state, "tree", ".git"), Git: s.Repo.Git, Files: s.Repo.Files}
}

// newest is the time of the newest commit.
func (s *Source) newest(ctx context.Context, tree *repo.Repo) (int64, error) {
	out, err := s.Repo.Git.Output(ctx, tree.Call("for-each-ref", "--sort=-committerdate", "--count=1", "--format=%(committerdate:unix)", imported))
	if err != nil {
		return 0, err
	}
	var seconds int64
	if _, err := fmt.Sscan(out, &seconds); err != nil {
		return 0, fmt.Errorf("the time of the newest commit: %w", err)
	}
	return seconds, nil
}

// record reads what a state was made of.
func (s *Source) record(state string) (record, bool) {
	var r record
	ok := repo.ReadRecord(filepath.Join(state, recordName), &r)
	return r, ok && r.Total != 0
}

// take brings the import's objects into the repository and gives what the refs
// shall be.
func (s *Source) take(ctx context.Context, now facts) (map[string]string, error) {
	tree := s.tree(s.Area.Path(stateName))
	call := s.Repo.Call("fetch", "--quiet", "--prune", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--", tree.Dir,
		"+"+imported+"*:"+scratch+"heads/*", "+"+tags+"*:"+scratch+"tags/*")
	call.Protocols = []string{childproc.ProtoFile}
	// Put looks at every new object.
	call.Config = []childproc.Setting{{Key: "transfer.fsckObjects", Value: "false"}}
	err := s.Repo.Git.Run(ctx, call)
	var refs map[string]string
	if err == nil {
		refs, err = s.Repo.Refs(ctx, scratch)
	}
	if err != nil {
		// The state is of no use; the next run makes it anew.
		_ = os.Remove(filepath.Join(s.Area.Path(stateName), recordName))
		return nil, gitfail.From(err, gitfail.Local)
	}
	wanted := make(map[string]string, len(refs))
	for name, object := range refs {
		switch branch, isBranch := strings.CutPrefix(name, scratch+"heads/"); {
		case branch == "HEAD":
		case branch == trunk:
			wanted[master] = object
		case isBranch:
			wanted[heads+branch] = object
		default:
			wanted[tags+strings.TrimPrefix(name, scratch+"tags/")] = object
		}
	}
	return wanted, s.exactly(ctx, wanted, now)
}

// exactly makes branches what a checkout gives, and tags what they are on, as far
// as it is known.
func (s *Source) exactly(ctx context.Context, wanted map[string]string, now facts) error {
	dir, err := s.Area.Temp()
	if err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	defer func() { _ = repo.Remove(dir) }()
	c, err := s.converted(ctx, now)
	if err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	if c == nil {
		fmt.Fprintln(s.Out, ".. warning: whether branches and tags have exactly the files that they are on is not known")
		s.alias(wanted, now)
		return nil
	}
	err = s.trunkWithVendors(ctx, wanted, c, dir)
	if err == nil {
		err = s.branches(ctx, wanted, now, c, dir)
	}
	if err == nil {
		err = s.exact(ctx, wanted, now, c, dir)
	}
	if err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	return nil
}

// alias gives the tags that cvsps left out, which tells one for each commit,
// the commit of a tag on exactly the same revisions. It says which are missing.
func (s *Source) alias(wanted map[string]string, now facts) {
	same := make(map[string]string)
	for tag, revisions := range now.tags {
		if object := wanted[tags+tag]; object != "" {
			same[revisions] = object
		}
	}
	var missing []string
	for tag, revisions := range now.tags {
		if wanted[tags+tag] != "" {
			continue
		}
		if object := same[revisions]; object != "" {
			wanted[tags+tag] = object
		} else {
			missing = append(missing, tag)
		}
	}
	s.tellMissing(missing)
}

func (s *Source) tellMissing(tags []string) {
	if len(tags) > 0 {
		fmt.Fprintf(s.Out, ".. warning: %d tags cannot be converted and are left out, such as %s\n", len(tags), least(tags))
	}
}

func least(list []string) string {
	first := list[0]
	for _, x := range list {
		first = min(first, x)
	}
	return first
}

// sweep removes the locks that a dead run left in a state.
func sweep(state string) error {
	return filepath.WalkDir(filepath.Join(state, "tree"), func(path string, d fs.DirEntry, err error) error {
		switch {
		case os.IsNotExist(err):
			return nil
		case err == nil && !d.IsDir() && strings.HasSuffix(path, ".lock"):
			return os.Remove(path)
		}
		return err
	})
}
