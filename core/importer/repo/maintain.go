package repo

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/lorry-controller/lorry-controller/core/childproc"
)

// manyPacks is how many packs are left alone.
const manyPacks = 12

// Maintain packs refs when many were changed, and joins small packs when there
// are many. It never runs in the background.
func (r *Repo) Maintain(ctx context.Context, changedRefs int) error {
	if changedRefs >= ManyRefs {
		if err := r.PackRefs(ctx); err != nil {
			return err
		}
	}
	packs, err := filepath.Glob(filepath.Join(escapeGlob(r.Dir), "objects", "pack", "*.pack"))
	if err != nil || len(packs) <= manyPacks {
		return err
	}
	if err := r.Git.Run(ctx, r.Call("repack", "-q", "-d", "--geometric=2", "--write-midx")); err != nil {
		return fmt.Errorf("cannot repack: %w", err)
	}
	return nil
}

// Collect packs everything into one pack and drops what no ref leads to. It
// bounds its threads and memory as every call does, and nobody else may work
// in the repository.
func (r *Repo) Collect(ctx context.Context) error {
	call := r.Call("gc", "--quiet", "--prune=now")
	call.Config = []childproc.Setting{
		{Key: "gc.reflogExpire", Value: "now"},
		{Key: "gc.packRefs", Value: "true"},
		{Key: "gc.writeCommitGraph", Value: "false"},
	}
	if err := r.Git.Run(ctx, call); err != nil {
		return fmt.Errorf("cannot collect garbage: %w", err)
	}
	return nil
}

func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// DiskUsage is what the tree below dir takes on disk, in bytes.
func DiskUsage(dir string) int64 {
	var total int64
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			// Files come and go; what cannot be read takes no part.
			return nil //nolint:nilerr // as said
		}
		if info, err := d.Info(); err == nil {
			if st, ok := info.Sys().(*syscall.Stat_t); ok {
				total += st.Blocks * 512
			} else {
				total += info.Size()
			}
		}
		return nil
	})
	return total
}

// Remove deletes a repository, even one whose files are write-protected.
func Remove(dir string) error { return os.RemoveAll(dir) }
