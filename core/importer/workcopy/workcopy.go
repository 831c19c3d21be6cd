// Package workcopy changes a Lorry's repository in the working area so that it
// always is what it was before or what it shall be: a record of the refs is
// written before a change and undone by the next run if this one dies, and the
// old tips of what was rewritten are kept.
//
// It must not know how a source is read.
package workcopy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"sort"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/area"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/importer/policy"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
	"github.com/lorry-controller/lorry-controller/core/importer/route"
)

// Copy is one repository and its place in the working area.
type Copy struct {
	Area   *area.Area
	Repo   *repo.Repo
	Policy policy.Policy
	Clock  core.Clock
	Log    hclog.Logger
	// Out gets lines for people, Progress the progress of programs.
	Out, Progress io.Writer
	// Route is how connections of this process reach the source; programs that
	// Repo.Git starts go the same way by themselves.
	Route route.Route
	// KeepOld keeps every broken copy, not the last one alone.
	KeepOld bool
	// Former brings the objects of the refs that a lost working copy had into
	// Repo and gives the refs; none when there is nothing to go on from. It is
	// for sources that cannot make their history a second time; nil for others.
	Former func(context.Context) (refs map[string]string, err error)
}

// Result is what the working area holds after an update.
type Result struct {
	// Refs are the mirrored refs with HEAD, as they now are on disk.
	Refs lsrefs.Listing
	// Upstream is what a cheap look at upstream would have given at the moment
	// that the update read it: the next job's digest is compared with its. No
	// refs: upstream cannot be looked at cheaply.
	Upstream lsrefs.Listing
	// Before are the refs as they were before the update, when any changed: their
	// old tips are kept.
	Before map[string]string
	// Changed counts the refs that changed.
	Changed int
	// Left is a *gitfail.Error that says what upstream has and the update could
	// not bring; nil when it brought everything. The rest is as it shall be.
	Left error
}

// Recover undoes a run that died: its locks, its temporary files, its half of a
// change.
func (c *Copy) Recover(ctx context.Context) error {
	if err := c.Area.Sweep(); err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	removed, err := repo.Sweep(c.Repo.Dir)
	if err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	if removed > 0 {
		c.Log.Info("removed what a dead run left", "lorry", c.Area.Name, "files", removed)
	}
	before, unfinished, err := c.Area.Unfinished()
	if err != nil {
		// A record that cannot be read says nothing: the update compares anyway.
		c.Log.Warn("cannot read the record of refs", "lorry", c.Area.Name, "error", err)
	}
	if unfinished && c.Repo.Exists() {
		if err := c.restore(ctx, before); err != nil {
			c.Log.Warn("cannot undo a dead run", "lorry", c.Area.Name, "error", err)
			return nil // the update finds out whether the repository is usable
		}
	}
	if err := c.Area.Commit(); err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	return nil
}

// Ensure makes the repository, empty, when there is none.
func (c *Copy) Ensure(ctx context.Context) error {
	if c.Repo.Exists() {
		return nil
	}
	dir, err := c.Area.Temp()
	if err == nil {
		fresh := &repo.Repo{Dir: dir, Git: c.Repo.Git, Files: c.Repo.Files}
		if err = fresh.Create(); err == nil {
			err = c.Area.Install(dir)
		}
	}
	if err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	return nil
}

// Run undoes what a dead run left, sees to it that there is a repository and
// updates it; when that fails because the repository is damaged, once more in a
// new one.
func (c *Copy) Run(ctx context.Context, update func(context.Context) (Result, error)) (Result, error) {
	if err := c.Recover(ctx); err != nil {
		return Result{}, err
	}
	for attempt := 0; ; attempt++ {
		if err := c.Ensure(ctx); err != nil {
			return Result{}, err
		}
		if err := c.resume(ctx); err != nil {
			return Result{}, err
		}
		res, err := update(ctx)
		if err == nil {
			return res, nil
		}
		if attempt > 0 || !c.Broken(ctx, err) {
			return Result{}, gitfail.From(err, gitfail.Upstream)
		}
		fmt.Fprintf(c.Out, ".. the working copy is damaged (%v): making a new one\n", err)
		c.Log.Warn("working copy is damaged", "lorry", c.Area.Name, "error", err)
	}
}

func (c *Copy) restore(ctx context.Context, before area.State) error {
	have, err := c.Local(ctx) // what is not mirrored, old tips above all, is not touched
	if err != nil {
		return err
	}
	if err := c.Repo.Turn(ctx, have, before.Refs); err != nil {
		return err
	}
	if before.Head == "" {
		return nil
	}
	return c.Repo.SetHead(ctx, before.Head)
}

// prefixes are what for-each-ref takes: whole parts of names.
func (c *Copy) prefixes() []string {
	var list []string
	for _, prefix := range c.Policy.Prefixes() {
		i := strings.LastIndexByte(prefix, '/')
		list = append(list, prefix[:i+1])
	}
	return list
}

// Local reads the mirrored refs from disk.
func (c *Copy) Local(ctx context.Context) (map[string]string, error) {
	refs, err := c.Repo.Refs(ctx, c.prefixes()...)
	if err != nil {
		return nil, err
	}
	for name := range refs {
		if !c.Policy.Mirrors(name) {
			delete(refs, name)
		}
	}
	return refs, nil
}

// Broken finds out whether a failure came from a damaged working copy, and
// moves that out of the way.
func (c *Copy) Broken(ctx context.Context, err error) bool {
	e := gitfail.From(err, gitfail.Local)
	switch e.Kind {
	case core.FailCorrupt, core.FailOther, core.FailGone, core.FailTool:
	default:
		return false
	}
	if ctx.Err() != nil || errors.Is(err, errConverted) {
		return false
	}
	// What is said to be corrupt may have all its objects, but not whole.
	if c.Repo.Check(ctx, e.Kind == core.FailCorrupt) == nil || ctx.Err() != nil {
		return false
	}
	return c.setAside()
}

// setAside moves the repository away; a new one is made then.
func (c *Copy) setAside() bool {
	if aside := c.Area.SetAside(c.KeepOld); aside != nil {
		c.Log.Error("cannot move a damaged copy away", "lorry", c.Area.Name, "error", aside)
		return false
	}
	return true
}

// Scrub makes sure that the repository is whole before anything is pushed from
// it, and moves one that is not out of the way. full reads every object.
func (c *Copy) Scrub(ctx context.Context, full bool) {
	if !c.Repo.Exists() || c.Repo.Check(ctx, full) == nil || ctx.Err() != nil {
		return
	}
	fmt.Fprintln(c.Out, ".. the working copy is damaged: making a new one")
	c.Log.Warn("working copy is damaged", "lorry", c.Area.Name)
	c.setAside()
}

// Change runs do between a record of the refs and its removal. When do fails,
// the refs are put back. The error is a *gitfail.Error.
func (c *Copy) Change(ctx context.Context, before map[string]string, do func(context.Context) (Result, error)) (Result, error) {
	state := area.State{Head: c.Repo.Head(), Refs: before}
	if err := c.Area.Begin(state); err != nil {
		return Result{}, gitfail.From(err, gitfail.Local)
	}
	res, err := do(ctx)
	if err == nil {
		if err = c.Area.Commit(); err == nil {
			res.Before = before
			return res, nil
		}
	}
	failure := gitfail.From(err, gitfail.Upstream)
	c.undo(ctx, state)
	return Result{}, failure
}

// undo puts the refs back after a failure. When even that fails, the record
// stays and the next run does it.
func (c *Copy) undo(ctx context.Context, state area.State) {
	// The job's own time may be over; putting refs back takes a moment.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	_, err := repo.Sweep(c.Repo.Dir)
	if err == nil {
		err = c.restore(ctx, state)
	}
	if err == nil {
		err = c.Area.Commit()
	}
	if err != nil {
		c.Log.Warn("cannot put the refs back now", "lorry", c.Area.Name, "error", err)
	}
}

const undoTime = 10 * time.Second

// Follow makes HEAD what upstream's is.
func (c *Copy) Follow(ctx context.Context, head string) error {
	if head == "" || !strings.HasPrefix(head, "refs/heads/") {
		return nil
	}
	return c.Repo.SetHead(ctx, head)
}

// Put makes the repository's refs the given ones, as far as they are mirrored:
// what stands in the way of another name goes first, everything else in one
// transaction. Nothing but these refs is left; old tips are kept. A repository
// whose objects are all there already is what it works on.
func (c *Copy) Put(ctx context.Context, wanted map[string]string, head string) (Result, error) {
	wanted = maps.Clone(wanted)
	for name := range wanted {
		if !c.Policy.Mirrors(name) {
			delete(wanted, name)
		}
	}
	before, err := c.Local(ctx)
	if err != nil {
		return Result{}, gitfail.From(err, gitfail.Local)
	}
	if len(wanted) == 0 {
		return Result{}, gitfail.New(core.FailEmpty, gitfail.Upstream, gitfail.Hint(core.FailEmpty, gitfail.Upstream),
			"upstream: the repository has no branch and no tag")
	}
	if wanted[head] == "" {
		head = ""
	}
	put := func(ctx context.Context) (Result, error) {
		first := Clashing(before, wanted)
		if err := c.Repo.Apply(ctx, first); err != nil {
			return Result{}, gitfail.From(err, gitfail.Local)
		}
		if err := c.Repo.Apply(ctx, changes(before, wanted, first)); err != nil {
			return Result{}, gitfail.From(err, gitfail.Local)
		}
		if err := c.Keep(ctx, before, wanted); err != nil {
			return Result{}, gitfail.From(err, gitfail.Local)
		}
		if err := c.Follow(ctx, head); err != nil {
			return Result{}, gitfail.From(err, gitfail.Local)
		}
		return Result{Refs: lsrefs.FromMap(wanted, head), Changed: Differing(before, wanted)}, nil
	}
	if maps.Equal(before, wanted) && (head == "" || c.Repo.Head() == head) {
		return Result{Refs: lsrefs.FromMap(wanted, head)}, nil
	}
	if err := c.verify(ctx, before, wanted); err != nil {
		return Result{}, err
	}
	return c.Change(ctx, before, put)
}

// changes are what makes before wanted, done aside.
func changes(before, wanted map[string]string, done []repo.Change) []repo.Change {
	list := Gone(before, wanted, done)
	for name, object := range wanted {
		if before[name] != object {
			list = append(list, repo.Change{Ref: name, New: object})
		}
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Ref < list[j].Ref })
	return list
}

// Gone are the deletions of what is not wanted any more, but those that are done.
func Gone(before, wanted map[string]string, done []repo.Change) []repo.Change {
	deleted := make(map[string]bool, len(done))
	for _, c := range done {
		deleted[c.Ref] = true
	}
	var list []repo.Change
	for name := range before {
		if wanted[name] == "" && !deleted[name] {
			list = append(list, repo.Change{Ref: name})
		}
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Ref < list[j].Ref })
	return list
}

// Clashing are the old refs that stand where new ones need a directory, or in
// a directory where new ones need a file. They go in a transaction of their
// own, since no transaction can do both.
func Clashing(before, wanted map[string]string) []repo.Change {
	parents := func(name string, visit func(string)) {
		for i := strings.LastIndexByte(name, '/'); i > 0; i = strings.LastIndexByte(name[:i], '/') {
			visit(name[:i])
		}
	}
	directories := make(map[string]bool)
	for name := range wanted {
		parents(name, func(dir string) { directories[dir] = true })
	}
	var list []repo.Change
	for name := range before {
		if wanted[name] != "" {
			continue
		}
		clash := directories[name]
		parents(name, func(dir string) { clash = clash || wanted[dir] != "" })
		if clash {
			list = append(list, repo.Change{Ref: name})
		}
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Ref < list[j].Ref })
	return list
}

// Differing counts the refs that are not the same in both.
func Differing(before, after map[string]string) int {
	n := 0
	for name, object := range after {
		if before[name] != object {
			n++
		}
	}
	for name := range before {
		if after[name] == "" {
			n++
		}
	}
	return n
}
