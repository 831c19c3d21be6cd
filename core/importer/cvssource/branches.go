package cvssource

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// branch is a branch of CVS.
type branch struct {
	name string
	// points are the revisions that it begins with, as places in
	// tagged.revisions. A vendor's has none: it begins with nothing.
	points []int32
	vendor bool
	depth  int // how many branches are between it and the trunk
	// commits are its own, the oldest first, and paths what each of them changes.
	commits []origin
	paths   map[string][]string
}

// addBranch adds that a branch begins in a file.
func (t *tagged) addBranch(file, name, number string) {
	if t == nil || t.entries > maxTagged {
		return
	}
	t.entries++
	parts := strings.Split(number, ".")
	b := t.branches[name]
	if b == nil {
		b = &branch{name: name, paths: make(map[string][]string)}
		t.branches[name] = b
	}
	if n := len(parts); n%2 == 0 { // 1.2.0.4, the branch 1.2.4 of 1.2
		b.points = append(b.points, t.place(file, strings.Join(parts[:n-2], ".")))
		parts = append(parts[:n-2], parts[n-1])
	} else {
		b.vendor = true
		t.place(file, "1.1") // so that the file's path is looked for
	}
	b.depth = max(b.depth, len(parts))
	t.ofBranch[revision{serverPath(file), strings.Join(parts, ".")}] = name
}

// branches makes every branch what its checkout gives: cvsps begins one with
// everything that the trunk has when the first commit is made on it, and tells
// of none that has no commit. Commits that differ from cvsps's are told in
// c.replaced.
func (s *Source) branches(ctx context.Context, wanted map[string]string, now facts, c *converted, dir string) error {
	list := c.branchesOf(now.tagged)
	if len(list) == 0 {
		return nil
	}
	trunk, err := s.treesOf(ctx, wanted[master])
	if err != nil {
		return err
	}
	var lost, changed []string
	for _, b := range list {
		tip := wanted[heads+b.name]
		if n := len(b.commits); n > 0 && tip != b.commits[n-1].commit {
			continue // cvsps sees it in another way
		}
		made, ok, err := s.branch(ctx, b, wanted[master], trunk, c, dir)
		switch {
		case err != nil:
			return err
		case !ok && tip == "":
			lost = append(lost, b.name)
		case ok && made != tip:
			wanted[heads+b.name] = made
			changed = append(changed, b.name)
		}
	}
	if len(lost) > 0 {
		fmt.Fprintf(s.Out, ".. warning: %d branches cannot be converted and are left out, such as %s\n", len(lost), least(lost))
	}
	if len(changed) > 0 {
		fmt.Fprintf(s.Out, ".. %d branches are given exactly their files, such as %s\n", len(changed), least(changed))
	}
	return nil
}

// branchesOf sorts the branches so that each comes after those that it may
// begin at, and finds their commits.
func (c *converted) branchesOf(t *tagged) []*branch {
	byCommit := make(map[string]*branch)
	for r, o := range c.origins {
		i := strings.LastIndexByte(r.number, '.')
		b := t.branches[t.ofBranch[revision{c.prefix + r.file, r.number[:max(i, 0)]}]]
		if b == nil {
			continue
		}
		b.paths[o.commit] = append(b.paths[o.commit], r.file)
		if byCommit[o.commit] == nil {
			byCommit[o.commit] = b
			b.commits = append(b.commits, o)
		}
	}
	list := slices.Collect(maps.Values(t.branches))
	for _, b := range list {
		for i, o := range b.commits {
			b.commits[i].order = c.orders[o.commit]
		}
		slices.SortFunc(b.commits, func(a, b origin) int { return cmp.Compare(a.order, b.order) })
	}
	slices.SortFunc(list, func(a, b *branch) int {
		return cmp.Or(cmp.Compare(a.depth, b.depth), cmp.Compare(a.name, b.name))
	})
	return list
}

// tree is a commit and its tree.
type tree struct{ commit, tree string }

// treesOf are the commits of a branch, the oldest first.
func (s *Source) treesOf(ctx context.Context, tip string) ([]tree, error) {
	out, err := s.Repo.Git.Output(ctx, s.Repo.Call("log", "--first-parent", "--reverse", "--format=%H %T", "--end-of-options", tip))
	var list []tree
	for line := range strings.Lines(out) {
		if commit, object, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			list = append(list, tree{commit, object})
		}
	}
	return list, err
}

// branch gives the commit that a branch shall be at. It fails where a revision
// is not to be had, and where there is no file.
func (s *Source) branch(ctx context.Context, b *branch, trunk string, trees []tree, c *converted, dir string) (string, bool, error) {
	begin, ok := c.expected(b.name, b.points)
	if !ok || len(begin.files) == 0 && len(b.commits) == 0 {
		return "", false, nil
	}
	base, err := "", error(nil)
	switch {
	case b.vendor && len(b.commits) > 0:
		var out string
		out, err = s.Repo.Git.Output(ctx, s.Repo.Call("show", "-s", "--format=%P", "--end-of-options", b.commits[0].commit))
		base = strings.TrimSpace(out)
		base = cmp.Or(c.replaced[base], base)
	case len(begin.files) > 0:
		base, err = s.beginning(ctx, begin, trunk, trees, c, dir)
	}
	if err != nil || len(b.commits) == 0 {
		return base, base != "", err
	}
	steps, same, err := s.branchSteps(ctx, b, begin, base, trunk)
	if err != nil || same {
		return b.commits[len(b.commits)-1].commit, true, err
	}
	if len(steps) == 0 {
		return base, base != "", nil
	}
	made, err := s.remake(ctx, steps, base, dir)
	if err != nil {
		return "", false, err
	}
	for i, one := range steps {
		c.replaced[one.commit] = made[i]
	}
	return made[len(made)-1], true, nil
}

// beginning gives a commit with exactly the files that a branch begins with:
// one that is there, or else one of its own. It does not depend on what is
// committed later.
func (s *Source) beginning(ctx context.Context, begin own, trunk string, trees []tree, c *converted, dir string) (string, error) {
	begin.base = cmp.Or(c.replaced[begin.base], begin.base)
	got, _, err := s.contents(ctx, begin.base)
	if err != nil || maps.Equal(got, begin.files) {
		return begin.base, err
	}
	begin.kind = "branch"
	made, err := s.commits(ctx, []own{begin}, trunk, dir)
	if err != nil {
		return "", err
	}
	of, err := s.treesOf(ctx, made[0])
	if err != nil {
		return "", err
	}
	at := slices.IndexFunc(trees, func(t tree) bool { return t.commit == begin.base })
	for _, t := range trees[max(at, 0):] {
		if at >= 0 && t.tree == of[len(of)-1].tree {
			return t.commit, nil // a file went away after the newest of these came
		}
	}
	return made[0], nil
}

// branchSteps are a branch's commits on top of base, but those that change
// nothing; same tells that they are what they are already.
func (s *Source) branchSteps(ctx context.Context, b *branch, begin own, base, trunk string) (steps []step, same bool, err error) {
	var asked strings.Builder
	for _, o := range b.commits {
		for _, path := range b.paths[o.commit] {
			fmt.Fprintf(&asked, "%s:%s\n", o.commit, path)
		}
	}
	objects, err := s.blobs(ctx, asked.String())
	if err != nil {
		return nil, false, err
	}
	first := b.commits[0].commit
	_, modes, err := s.contents(ctx, b.commits[len(b.commits)-1].commit)
	if err != nil {
		return nil, false, err
	}
	_, trunkModes, err := s.contents(ctx, trunk)
	if err != nil {
		return nil, false, err
	}
	entry := func(path, object string) string {
		if object == "" {
			return ""
		}
		return cmp.Or(modes[path], trunkModes[path], "100644") + " " + object
	}
	state := maps.Clone(begin.files)
	for _, o := range b.commits {
		one := step{origin: o, files: make(map[string]string), whole: len(steps) == 0}
		for _, path := range b.paths[o.commit] {
			// A file that is added to a branch begins as a dead one, in the past.
			if objects[0] != "" || state[path] != "" {
				one.files[path] = entry(path, objects[0])
				state[path] = objects[0]
			}
			objects = objects[1:]
		}
		if len(one.files) == 0 {
			continue
		}
		if len(steps) == 0 {
			maps.DeleteFunc(state, func(_, object string) bool { return object == "" })
			if same, err = s.is(ctx, first, base, state); err != nil {
				return nil, false, err
			}
			for path, object := range state {
				one.files[path] = entry(path, object)
			}
		}
		steps = append(steps, one)
	}
	return steps, same && len(steps) == len(b.commits), nil
}

// is reports whether a commit has this parent and these files.
func (s *Source) is(ctx context.Context, commit, parent string, files contents) (bool, error) {
	out, err := s.Repo.Git.Output(ctx, s.Repo.Call("show", "-s", "--format=%P", "--end-of-options", commit))
	if err != nil || strings.TrimSpace(out) != parent {
		return false, err
	}
	got, _, err := s.contents(ctx, commit)
	return maps.Equal(got, files), err
}

// converted is what git cvsimport has made.
type converted struct {
	origins map[revision]origin
	orders  map[string]int // of commits: that of the first revision
	prefix  string         // what stands before the paths of git on the server
	from    []resolved     // of tagged.revisions
	objects []string       // of tagged.revisions; "" where the file is dead
	// replaced are the commits in whose place others are wanted.
	replaced map[string]string
}

// converted reads what was made; nil when it does not fit what is known.
func (s *Source) converted(ctx context.Context, now facts) (*converted, error) {
	origins, err := readOrigins(filepath.Join(s.tree(s.Area.Path(stateName)).Dir, revisionsName))
	if err != nil || now.tagged.entries > maxTagged {
		return nil, nil //nolint:nilerr,nilnil // what cvsps says has to do
	}
	c := &converted{origins: origins, orders: make(map[string]int), replaced: make(map[string]string)}
	for _, o := range origins {
		if before, ok := c.orders[o.commit]; !ok || o.order < before {
			c.orders[o.commit] = o.order
		}
	}
	c.prefix, c.from = now.tagged.resolve(origins)
	if c.from == nil {
		return nil, nil //nolint:nilnil // so it has to
	}
	var asked strings.Builder
	for _, r := range c.from {
		fmt.Fprintf(&asked, "%s:%s\n", r.commit, r.path)
	}
	c.objects, err = s.blobs(ctx, asked.String())
	return c, err
}
