package gitsource

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core/importer/area"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
)

// refresh brings a repository that is there up to date.
func (s *Source) refresh(ctx context.Context, upstream lsrefs.Listing) (Result, error) {
	before, err := s.local(ctx)
	if err != nil {
		return Result{}, gitfail.From(err, gitfail.Local)
	}
	if maps.Equal(before, upstream.Map()) {
		if err := s.follow(ctx, upstream.Head); err != nil {
			return Result{}, gitfail.From(err, gitfail.Local)
		}
		return Result{Refs: upstream}, nil
	}
	fmt.Fprintln(s.Out, ".. updating existing clone")
	state := area.State{Head: s.Repo.Head(), Refs: before}
	if err := s.Area.Begin(state); err != nil {
		return Result{}, gitfail.From(err, gitfail.Local)
	}
	res, err := s.change(ctx, upstream, before)
	if err == nil {
		if err = s.Area.Commit(); err == nil {
			return res, nil
		}
	}
	failure := gitfail.From(err, gitfail.Upstream)
	s.undo(ctx, state)
	return Result{}, failure
}

// undo puts the refs back after a failure. When even that fails, the record
// stays and the next run does it.
func (s *Source) undo(ctx context.Context, state area.State) {
	// The job's own time may be over; putting refs back takes a moment.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTime)
	defer cancel()
	_, err := repo.Sweep(s.Repo.Dir)
	if err == nil {
		err = s.restore(ctx, state)
	}
	if err == nil {
		err = s.Area.Commit()
	}
	if err != nil {
		s.Log.Warn("cannot put the refs back now", "lorry", s.Area.Name, "error", err)
	}
}

const undoTime = 10 * time.Second

// change fetches, drops what upstream no longer has, keeps old tips and
// follows HEAD.
func (s *Source) change(ctx context.Context, upstream lsrefs.Listing, before map[string]string) (Result, error) {
	wanted := upstream.Map()
	first := clashing(before, wanted)
	if err := s.Repo.Apply(ctx, first); err != nil {
		return Result{}, gitfail.From(err, gitfail.Local)
	}
	if changing := differing(before, overlay(before, wanted)); changing > 0 {
		if err := s.fetch(ctx, changing); err != nil {
			return Result{}, err
		}
	}
	if err := s.drop(ctx, before, wanted, first); err != nil {
		return Result{}, err
	}
	after, err := s.local(ctx)
	if err != nil {
		return Result{}, gitfail.From(err, gitfail.Local)
	}
	if err := s.keep(ctx, before, after); err != nil {
		return Result{}, gitfail.From(err, gitfail.Local)
	}
	if err := s.follow(ctx, upstream.Head); err != nil {
		return Result{}, gitfail.From(err, gitfail.Local)
	}
	head := upstream.Head
	if after[head] == "" {
		head = ""
	}
	return Result{Refs: lsrefs.FromMap(after, head), Changed: differing(before, after)}, nil
}

// overlay is before with what is wanted over it.
func overlay(before, wanted map[string]string) map[string]string {
	all := maps.Clone(before)
	maps.Copy(all, wanted)
	return all
}

// drop removes what upstream does not have any more. A ref that is not in the
// listing but came with the fetch was made in between, and stays. done were
// removed before.
func (s *Source) drop(ctx context.Context, before, wanted map[string]string, done []repo.Change) error {
	var gone []repo.Change
	for name := range before {
		if wanted[name] == "" && !slices.Contains(done, repo.Change{Ref: name}) {
			gone = append(gone, repo.Change{Ref: name})
		}
	}
	sort.Slice(gone, func(i, j int) bool { return gone[i].Ref < gone[j].Ref })
	if err := s.Repo.Apply(ctx, gone); err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	return nil
}

// clashing are the old refs that stand where new ones need a directory, or in
// a directory where new ones need a file. They go in a transaction of their
// own, since no transaction can do both.
func clashing(before, wanted map[string]string) []repo.Change {
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

// keep gives a ref of our own to every old tip that nothing leads to any more.
func (s *Source) keep(ctx context.Context, before, after map[string]string) error {
	var objects []string
	for name, old := range before {
		if after[name] != old {
			objects = append(objects, old)
		}
	}
	sort.Strings(objects)
	lost, err := s.Repo.Lost(ctx, objects)
	if err != nil {
		return err
	}
	stamp := s.Clock().UTC().Format("20060102T150405Z")
	var kept []repo.Change
	for name, old := range before {
		if after[name] != old && lost[old] {
			ref := "refs/lorry/kept/" + strings.TrimPrefix(name, "refs/") + "/" + stamp + "-" + old[:12]
			kept = append(kept, repo.Change{Ref: ref, New: old})
			fmt.Fprintf(s.Out, ".. upstream rewrote %s: the old tip %.12s is kept as %s\n", name, old, ref)
		}
	}
	sort.Slice(kept, func(i, j int) bool { return kept[i].Ref < kept[j].Ref })
	return s.Repo.Apply(ctx, kept)
}

// follow makes HEAD what upstream's is.
func (s *Source) follow(ctx context.Context, head string) error {
	if head == "" || !strings.HasPrefix(head, "refs/heads/") {
		return nil
	}
	return s.Repo.SetHead(ctx, head)
}

func differing(before, after map[string]string) int {
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
