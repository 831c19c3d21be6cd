package workcopy

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/area"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
)

// keptRefs is where old tips of rewritten refs are.
const keptRefs = "refs/lorry/kept/"

// keptStamp is how the name of a kept tip begins: when it was kept.
const keptStamp = "20060102T150405Z"

// Keep gives a ref of our own to every old tip that nothing leads to any more.
func (c *Copy) Keep(ctx context.Context, before, after map[string]string) error {
	var objects []string
	for name, old := range before {
		if after[name] != old {
			objects = append(objects, old)
		}
	}
	sort.Strings(objects)
	lost, err := c.Repo.Lost(ctx, objects)
	if err != nil {
		return err
	}
	var kept []repo.Change
	for name, old := range before {
		if after[name] != old && lost[old] {
			ref := c.keptName(name, old)
			kept = append(kept, repo.Change{Ref: ref, New: old})
			fmt.Fprintf(c.Out, ".. upstream rewrote %s: the old tip %.12s is kept as %s\n", name, old, ref)
		}
	}
	return c.applyKept(ctx, c.Repo, kept)
}

// Rescue brings the old tips that a repository had, which was set aside since,
// into the new one. What cannot be saved is told.
func (c *Copy) Rescue(ctx context.Context) error {
	for _, aside := range c.Area.FailedCopies() {
		if _, err := os.Stat(filepath.Join(aside, area.RescuedName)); err == nil {
			continue
		}
		old := &repo.Repo{Dir: aside, Git: c.Repo.Git, Files: c.Repo.Files}
		kept, err := old.Refs(ctx, keptRefs)
		if err != nil && ctx.Err() != nil {
			return err
		}
		if err != nil {
			fmt.Fprintf(c.Out, ".. warning: old tips of rewritten refs, if there were any, cannot be read from %s\n", aside)
		}
		for name, object := range kept {
			call := c.Repo.Call("fetch", "--quiet", "--no-write-fetch-head", "--no-tags", "--no-auto-maintenance", "--", aside, "+"+name+":"+name)
			call.Protocols = []string{childproc.ProtoFile}
			if err := c.Repo.Git.Run(ctx, call); err != nil {
				if ctx.Err() != nil {
					return err
				}
				fmt.Fprintf(c.Out, ".. warning: the old tip %.12s (%s) is lost with the damaged copy\n", object, name)
			}
		}
		if err := os.WriteFile(filepath.Join(aside, area.RescuedName), nil, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Expire lets go of old tips that were kept longer than age ago.
func (c *Copy) Expire(ctx context.Context, age time.Duration) error {
	if age <= 0 {
		return nil
	}
	kept, err := c.Repo.Refs(ctx, keptRefs)
	if err != nil {
		return err
	}
	var gone []repo.Change
	for name := range kept {
		stamp, _, _ := strings.Cut(name[strings.LastIndexByte(name, '/')+1:], "-")
		at, err := time.Parse(keptStamp, stamp)
		if err == nil && c.Clock().Sub(at) > age {
			gone = append(gone, repo.Change{Ref: name})
			fmt.Fprintf(c.Out, ".. the old tip %.12s, kept as %s, has expired\n", kept[name], name)
		}
	}
	return c.Repo.Apply(ctx, gone)
}

// resume makes a repository without any ref what the one before it was.
func (c *Copy) resume(ctx context.Context) error {
	if c.Former == nil {
		return nil
	}
	now, err := c.Local(ctx)
	if err != nil || len(now) > 0 {
		return nil //nolint:nilerr // the update finds out what is wrong here, and makes a new one
	}
	refs, err := c.Former(ctx)
	if err != nil || len(refs) == 0 {
		return err
	}
	_, err = c.Put(ctx, refs, "")
	return err
}
