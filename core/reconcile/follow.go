package reconcile

import "context"

// Follow takes over the configuration that another core has applied, if this
// one has not got it yet. The STATEDB is not changed.
func (r *Reconciler) Follow(ctx context.Context) error {
	r.reading.Lock()
	defer r.reading.Unlock()
	return r.follow(ctx)
}

func (r *Reconciler) follow(ctx context.Context) error {
	commit, err := r.opts.Store.ConfigCommit(ctx)
	if err != nil || commit == "" {
		return err
	}
	if c := r.current(); c != nil && c.Commit == commit {
		return nil
	}
	r.followed = nil
	c, err := r.opts.Source.Read(ctx, commit)
	if err != nil {
		return err
	}
	r.followed = c // it may be applied next
	r.force(ctx, c.WithoutTexts(), false)
	return nil
}

// catchUp follows if nothing is being read here just now: what is, will be in force
// in any case.
func (r *Reconciler) catchUp(ctx context.Context) error {
	if !r.reading.TryLock() {
		return nil
	}
	defer r.reading.Unlock()
	return r.follow(ctx)
}
