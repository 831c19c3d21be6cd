// Package bzrsource brings Bazaar branches into the working area: brz keeps
// copies of them there and exports each in full whenever it has changed, which
// gives the same commits every time. A url alone is the branch trunk.
//
// It must not touch the Downstream Host. Branches and tags change all at once,
// when everything is there.
package bzrsource

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/fastimport"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
	"github.com/lorry-controller/lorry-controller/core/importer/workcopy"
)

// OnlyBranch is the branch that a specification with one url gives.
const OnlyBranch = "trunk"

// Source is a list of branches, not empty, and their place in the working area.
type Source struct {
	workcopy.Copy
	Branches []Branch
	// Roots are the directories to which branches may lead that are all on this
	// machine themselves, beside their own.
	Roots []string
}

// Branch is one branch and its name in git.
type Branch struct {
	Name   string
	Access core.Access
}

const (
	heads = "refs/heads/"
	tags  = "refs/tags/"
	// copyName is the directory of brz's copies, beside the repository.
	copyName = "bzr"
	// recordName is a file in the repository that says what was exported last.
	recordName = "lorry-bzr"
	// scratch is where refs stand until everything is there.
	scratch = "refs/lorry/bzr/"
	// nothing is the revision of a branch without any.
	nothing = "null:"
)

// state is what a branch is.
type state struct {
	Tip  string            `json:"tip"`  // the revision's id
	Tags map[string]string `json:"tags"` // the revisions' ids
}

// exported is what a branch became.
type exported struct {
	State  state             `json:"state"`
	Object string            `json:"object"`
	Tags   map[string]string `json:"refs"` // objects, by the names that git takes
}

// List asks for the tips of the branches.
func (s *Source) List(ctx context.Context) (lsrefs.Listing, error) {
	now, err := s.states(ctx)
	if err != nil {
		return lsrefs.Listing{}, err
	}
	return s.listing(now), nil
}

func (s *Source) listing(now []state) lsrefs.Listing {
	refs := make(map[string]string, len(now))
	for i, b := range s.Branches {
		// Texts are plain, so that this cannot fail.
		text, _ := json.Marshal(now[i])
		sum := sha256.Sum256(append(text, b.Access.URL...))
		refs[heads+b.Name] = hex.EncodeToString(sum[:])
	}
	return lsrefs.FromMap(refs, s.head())
}

// head is the branch that HEAD names: trunk or master if there is one, else the
// first.
func (s *Source) head() string {
	for _, name := range []string{OnlyBranch, "master"} {
		if slices.ContainsFunc(s.Branches, func(b Branch) bool { return b.Name == name }) {
			return heads + name
		}
	}
	return heads + s.Branches[0].Name
}

func (s *Source) states(ctx context.Context) ([]state, error) {
	args := []string{"--"}
	for _, b := range s.Branches {
		args = append(args, b.Access.URL)
	}
	out, err := s.brz(ctx, false, nil, "lorry-tips", args...)
	if err != nil {
		e := failure(err, gitfail.Upstream)
		if strings.Contains(e.Cause, "Unexpected end of message") && strings.HasPrefix(s.Branches[0].Access.URL, "http") {
			// What came was no word of Bazaar's.
			e.Kind, e.Hint = core.FailNotGit, gitfail.Hint(core.FailNotGit, gitfail.Upstream)
		}
		return nil, e
	}
	var now []state
	if err := json.Unmarshal([]byte(out), &now); err != nil || len(now) != len(s.Branches) {
		return nil, gitfail.New(core.FailOther, gitfail.Upstream, "", "upstream: brz gave no list of tips")
	}
	for i, b := range s.Branches {
		if now[i].Tip == nothing {
			return nil, gitfail.New(core.FailEmpty, gitfail.Upstream, gitfail.Hint(core.FailEmpty, gitfail.Upstream), "upstream: the branch %s has no revision", b.Name)
		}
	}
	return now, nil
}

// Update brings in what is new. The error is a *gitfail.Error; the refs are
// then what they were before.
func (s *Source) Update(ctx context.Context, _ lsrefs.Listing) (workcopy.Result, error) {
	return s.Run(ctx, s.update)
}

func (s *Source) update(ctx context.Context) (workcopy.Result, error) {
	// What is asked before the copies are made cannot claim more than they have.
	now, err := s.states(ctx)
	if err != nil {
		return workcopy.Result{}, err
	}
	before, err := s.Local(ctx)
	if err != nil {
		return workcopy.Result{}, gitfail.From(err, gitfail.Local)
	}
	dir, err := s.Area.Temp()
	if err != nil {
		return workcopy.Result{}, gitfail.From(err, gitfail.Local)
	}
	defer func() { _ = repo.Remove(dir) }()
	old, made := s.record(before), make(map[string]exported, len(s.Branches))
	var target *repo.Repo
	for i, b := range s.Branches {
		if e, ok := old[b.Name]; ok && e.Object == before[heads+b.Name] && e.State.Tip == now[i].Tip && maps.Equal(e.State.Tags, now[i].Tags) {
			made[b.Name] = e
			continue
		}
		if target == nil {
			if target, err = s.target(ctx, dir); err != nil {
				return workcopy.Result{}, gitfail.From(err, gitfail.Local)
			}
		}
		if made[b.Name], err = s.branch(ctx, b, now[i].Tags, target); err != nil {
			return workcopy.Result{}, err
		}
	}
	wanted := s.wanted(made)
	if target != nil {
		if err := s.take(ctx, target); err != nil {
			return workcopy.Result{}, gitfail.From(err, gitfail.Local)
		}
	}
	res, err := s.Put(ctx, wanted, s.head())
	if err == nil {
		err = s.Repo.Restore(ctx, nil, scratch)
	}
	if err == nil {
		err = repo.WriteRecord(filepath.Join(s.Repo.Dir, recordName), made)
	}
	if err != nil {
		return workcopy.Result{}, gitfail.From(err, gitfail.Local)
	}
	res.Upstream = s.listing(now)
	return res, nil
}

// target makes a repository for the exports, which borrows the objects that are
// there already.
func (s *Source) target(ctx context.Context, dir string) (*repo.Repo, error) {
	r := &repo.Repo{Dir: filepath.Join(dir, "git"), Git: s.Repo.Git, Files: s.Repo.Files}
	if err := r.Create(); err != nil {
		return nil, err
	}
	objects := filepath.Join(s.Repo.Dir, "objects")
	info := filepath.Join(r.Dir, "objects", "info")
	if err := os.MkdirAll(info, 0o755); err != nil {
		return nil, err
	}
	return r, os.WriteFile(filepath.Join(info, "alternates"), []byte(objects+"\n"), 0o644)
}

// branch brings one branch, which has these tags, up to date and exports it.
func (s *Source) branch(ctx context.Context, b Branch, tags map[string]string, target *repo.Repo) (exported, error) {
	place, err := s.pull(ctx, b)
	if err != nil {
		return exported{}, err
	}
	now, err := s.look(ctx, place, tags, filepath.Dir(target.Dir))
	if err != nil {
		return exported{}, err
	}
	before, err := target.Refs(ctx)
	if err != nil {
		return exported{}, gitfail.From(err, gitfail.Local)
	}
	fmt.Fprintf(s.Out, ".. converting %s\n", b.Name)
	stream := fastimport.Start(ctx, target, "")
	defer stream.Abort()
	_, err = s.brz(ctx, true, stream, "fast-export", "--plain", "--rewrite-tag-names", "-q", "--git-branch="+b.Name, "--", place, "-")
	if err != nil {
		return exported{}, failure(stream.Err(err), gitfail.Local)
	}
	if err := stream.Finish(); err != nil {
		return exported{}, gitfail.From(err, gitfail.Local)
	}
	after, err := target.Refs(ctx)
	if err != nil {
		return exported{}, gitfail.From(err, gitfail.Local)
	}
	e := exported{State: now, Object: after[heads+b.Name], Tags: make(map[string]string)}
	if e.Object == "" {
		return exported{}, gitfail.New(core.FailOther, gitfail.Local, "", "working area: brz exported no branch %s", b.Name)
	}
	// The next branch may have tags of the same names.
	var gone []repo.Change
	for name, object := range after {
		if tag, ok := tagName(name); ok && before[name] == "" {
			e.Tags[tag] = object
			gone = append(gone, repo.Change{Ref: name}, repo.Change{Ref: keep(b.Name, tag), New: object})
		}
	}
	if err := target.Apply(ctx, gone); err != nil {
		return exported{}, gitfail.From(err, gitfail.Local)
	}
	return e, nil
}

// wanted names what the branches became. Of tags that differ between branches
// the first branch's counts.
func (s *Source) wanted(made map[string]exported) map[string]string {
	wanted, from := make(map[string]string), make(map[string]string)
	for _, b := range s.Branches {
		e := made[b.Name]
		wanted[heads+b.Name] = e.Object
		for _, tag := range slices.Sorted(maps.Keys(e.Tags)) {
			switch object := e.Tags[tag]; {
			case from[tag] == "" && clashes(from, tag):
				// Git has no a/b beside a.
				fmt.Fprintf(s.Out, ".. warning: the tag %s of %s is left out, as another branch has one above or below it\n", tag, b.Name)
			case from[tag] == "":
				wanted[tags+tag], from[tag] = object, b.Name
			case wanted[tags+tag] != object:
				fmt.Fprintf(s.Out, ".. warning: the tag %s is another in %s than in %s, whose one is taken\n", tag, b.Name, from[tag])
			}
		}
	}
	return wanted
}

// clashes reports whether a name lies above or below one that is there.
func clashes(names map[string]string, name string) bool {
	for other := range names {
		if strings.HasPrefix(other, name+"/") || strings.HasPrefix(name, other+"/") {
			return true
		}
	}
	return false
}

// take brings the exports' objects into the repository.
func (s *Source) take(ctx context.Context, from *repo.Repo) error {
	call := s.Repo.Call("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--", from.Dir, "+refs/*:"+scratch+"*")
	call.Protocols = []string{childproc.ProtoFile}
	// Put looks at every new object.
	call.Config = []childproc.Setting{{Key: "transfer.fsckObjects", Value: "false"}}
	return s.Repo.Git.Run(ctx, call)
}

// record reads what was exported last; empty when it says nothing about the
// refs as they are.
func (s *Source) record(refs map[string]string) map[string]exported {
	var r map[string]exported
	if !repo.ReadRecord(filepath.Join(s.Repo.Dir, recordName), &r) {
		return nil
	}
	have := make(map[string]bool, len(refs))
	for _, object := range refs {
		have[object] = true
	}
	for name, e := range r {
		for _, object := range e.Tags {
			if !have[object] {
				delete(r, name) // its objects may be gone
			}
		}
	}
	return r
}
