package reconcile

import (
	"context"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// chunk is how many Lorries go into one call of the Store, and chunkBytes how
// much text of theirs.
const (
	chunk      = 500
	chunkBytes = 4 << 20
)

// wanted are the Lorries that a section is to have, in the order of their
// paths. They may be made when they are asked for.
type wanted interface {
	count() int
	path(i int) string
	// lorry gives a Lorry, and false for one that is to stay as it is.
	lorry(i int) (core.Lorry, bool)
}

// lorries are wanted Lorries that are there already: some of all.
type lorries struct {
	all []core.Lorry
	at  []int32 // where they are
}

func (l lorries) count() int                     { return len(l.at) }
func (l lorries) path(i int) string              { return l.all[l.at[i]].Path }
func (l lorries) lorry(i int) (core.Lorry, bool) { return l.all[l.at[i]], true }

// stored calls see for every Lorry of a section, in the order of their paths.
func (r *Reconciler) stored(ctx context.Context, section string, see func(core.Lorry) error) error {
	after := ""
	for {
		page, err := r.opts.Store.SectionLorries(ctx, section, after, chunk)
		if err != nil {
			return err
		}
		for _, l := range page {
			if err := see(l); err != nil {
				return err
			}
		}
		if len(page) < chunk {
			return nil
		}
		after = page[len(page)-1].Path
	}
}

// choice is a wanted Lorry that is to be put.
type choice struct {
	index int
	fresh bool // it is new in its section
}

// compare walks through a section and what is wanted of it side by side. It
// gives the indexes of the Lorries to put; gone is called for each that is
// stored and not wanted. known counts the stored ones.
func (r *Reconciler) compare(ctx context.Context, section string, want wanted, gone func(core.Lorry)) (changed []choice, known int, err error) {
	next := 0
	put := func(i int, old *core.Lorry) {
		if l, ok := want.lorry(i); ok && (old == nil || l != *old) {
			changed = append(changed, choice{i, old == nil})
		}
	}
	err = r.stored(ctx, section, func(old core.Lorry) error {
		known++
		for next < want.count() && want.path(next) < old.Path {
			put(next, nil)
			next++
		}
		if next < want.count() && want.path(next) == old.Path {
			put(next, &old)
			next++
			return nil
		}
		gone(old)
		return nil
	})
	for err == nil && next < want.count() {
		put(next, nil)
		next++
	}
	return changed, known, err
}

// put stores the chosen Lorries in chunks.
func (r *Reconciler) put(ctx context.Context, want wanted, chosen []choice) error {
	first := newFirstTimes(r.opts, chosen)
	batch := make([]core.Lorry, 0, min(chunk, len(chosen)))
	due := make([]time.Time, 0, cap(batch))
	size := 0
	for n, c := range chosen {
		if l, ok := want.lorry(c.index); ok {
			batch, due = append(batch, l), append(due, first.next(l, c.fresh))
			size += len(l.Text)
		}
		if len(batch) == chunk || size > chunkBytes || n == len(chosen)-1 && len(batch) > 0 {
			if err := r.opts.Store.PutLorriesDue(ctx, batch, due); err != nil {
				return err
			}
			batch, due, size = batch[:0], due[:0], 0
		}
	}
	return nil
}

// remove removes Lorries in chunks.
func (r *Reconciler) remove(ctx context.Context, paths []string) error {
	for len(paths) > 0 {
		n := min(chunk, len(paths))
		if err := r.opts.Store.RemoveLorries(ctx, paths[:n]); err != nil {
			return err
		}
		paths = paths[n:]
	}
	return nil
}
