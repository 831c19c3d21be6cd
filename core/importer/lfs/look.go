package lfs

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
)

// maxLook is how many objects are asked after in one look: 200 requests. The
// next look goes on behind them.
const maxLook = 200 * batchSize

// due reports whether it is time to look whether the target still has what was
// brought before. What was dated by a wrong clock says nothing.
func (s *Sync) due(rec record) bool {
	if s.Look <= 0 || s.Now.IsZero() || s.Downstream.Access.URL == "" || !s.Always && !rec.Uses {
		return false
	}
	since := s.Now.Sub(time.Unix(rec.Looked, 0))
	return since < -time.Minute || since >= s.Look
}

// gone gives those of the objects that the tips lead to which the target had
// and has no more, although its refs are as they were. Whether it can be asked
// is not what a job depends on: a credential may be for pushing alone.
func (s *Sync) gone(ctx context.Context, rec *record, tips []string) ([]Pointer, error) {
	pointers, err := (&scanner{repo: s.Repo, tips: tips}).pointers(ctx)
	if err != nil || len(pointers) == 0 {
		return nil, err
	}
	slices.SortFunc(pointers, func(a, b Pointer) int { return cmp.Compare(a.OID, b.OID) })
	first := rec.Next % len(pointers)
	part := append(slices.Clone(pointers[first:]), pointers[:first]...)
	part = part[:min(maxLook, len(part))]
	rec.Next = (first + len(part)) % len(pointers)
	lost, err := s.lostOf(ctx, part)
	if err != nil && ctx.Err() == nil {
		fmt.Fprintf(s.Out, ".. warning: whether downstream still has the objects of git-lfs is not known: %v\n", err)
		err = nil
	}
	if len(lost) > 0 {
		fmt.Fprintf(s.Out, ".. downstream has lost %d objects of git-lfs: sending them again\n", len(lost))
	}
	return lost, err
}

// lostOf asks the target for objects as a client would that fetches them.
func (s *Sync) lostOf(ctx context.Context, pointers []Pointer) (lost []Pointer, err error) {
	if s.Downstream.Path != "" {
		target := localStores(s.Downstream.Path)[0]
		return slices.DeleteFunc(pointers, target.Has), nil
	}
	a, err := s.api(ctx, s.Downstream, opDownload)
	if err != nil {
		return nil, err
	}
	defer a.close()
	return a.inBatches(ctx, pointers, func(context.Context, Pointer, object) error { return nil })
}

// mend brings what the target has lost. What nobody has any more, a failure
// would not bring back: it is told, and the rest is brought.
func (s *Sync) mend(ctx context.Context, lost []Pointer) error {
	err := s.bring(ctx, lost)
	if err == nil || gitfail.From(err, gitfail.Local).Kind != core.FailLFS {
		return err
	}
	fmt.Fprintf(s.Out, ".. warning: %v\n", err)
	store := OpenStore(s.Repo.Dir)
	return s.bring(ctx, slices.DeleteFunc(lost, func(p Pointer) bool { return !store.Has(p) }))
}
