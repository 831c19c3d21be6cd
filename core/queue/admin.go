package queue

import (
	"context"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// change runs one write and, when it may have made a Lorry claimable, wakes the
// minions that wait.
func (q *Queue) change(ctx context.Context, fn func(ctx context.Context, tx Tx) error) error {
	err := q.store.Write(ctx, fn)
	if err == nil {
		q.Wake()
	}
	return err
}

// SetRunning starts or stops the giving out of jobs; running ones go on. The
// switch survives a restart.
func (q *Queue) SetRunning(ctx context.Context, running bool) error {
	return q.change(ctx, func(ctx context.Context, tx Tx) error { return tx.SetRunning(ctx, running) })
}

// SetMaxJobs bounds how many jobs run at a time; nil lifts the bound. A negative
// one is core.KindInvalid.
func (q *Queue) SetMaxJobs(ctx context.Context, limit *int) error {
	if limit != nil && *limit < 0 {
		return core.Errorf(core.KindInvalid, "max-jobs is %d; it must be 0 or more", *limit)
	}
	return q.change(ctx, func(ctx context.Context, tx Tx) error { return tx.SetMaxJobs(ctx, limit) })
}

// MoveToTop puts a Lorry first in the queue and makes it due now. The place is
// used up when its job starts. The job looks at the mirror, too, which a person
// who asks for it may have changed.
func (q *Queue) MoveToTop(ctx context.Context, path string) error {
	now := q.clock()
	return q.change(ctx, func(ctx context.Context, tx Tx) error { return tx.Place(ctx, path, true, now) })
}

// MoveToBottom puts a Lorry last in the queue: it becomes due after all others.
func (q *Queue) MoveToBottom(ctx context.Context, path string) error {
	now := q.clock()
	return q.change(ctx, func(ctx context.Context, tx Tx) error { return tx.Place(ctx, path, false, now) })
}

// Retry forgets the failures of a Lorry and makes it due now, at its place among
// the others that are due. The job looks at the mirror, as with MoveToTop.
func (q *Queue) Retry(ctx context.Context, path string) error {
	now := q.clock()
	return q.change(ctx, func(ctx context.Context, tx Tx) error { return tx.Retry(ctx, path, now) })
}

// HoldLorry keeps a Lorry from being claimed until ResumeLorry; a job of it that
// runs goes on. The reason is for people and must not be empty.
func (q *Queue) HoldLorry(ctx context.Context, path, reason string) error {
	if strings.TrimSpace(reason) == "" {
		return core.Errorf(core.KindInvalid, "give a reason for holding %q", path)
	}
	return q.store.Write(ctx, func(ctx context.Context, tx Tx) error { return tx.Hold(ctx, path, clip(reason)) })
}

// ResumeLorry lets a held Lorry be claimed again.
func (q *Queue) ResumeLorry(ctx context.Context, path string) error {
	return q.change(ctx, func(ctx context.Context, tx Tx) error { return tx.Hold(ctx, path, "") })
}

// forever stands for a hold without an end.
const forever = 100 * 365 * 24 * time.Hour

// AllHosts is the name under which HoldHost holds every Lorry, whatever its
// upstream host, as when the Downstream Host wants to be left alone.
const AllHosts = "*"

// HoldHost keeps all Lorries whose spec points to an upstream host name from
// being claimed until then, or until ResumeHost when until is zero or a century
// away. One that is past is core.KindInvalid.
func (q *Queue) HoldHost(ctx context.Context, name string, until time.Time, reason string) error {
	hold, err := q.holdOf(name, until, reason)
	if err != nil {
		return err
	}
	return q.change(ctx, func(ctx context.Context, tx Tx) error { return tx.HoldHost(ctx, clean(name), hold) })
}

// HoldHostLonger does the same on behalf of the host itself: it leaves a hold
// that lasts as long already, above all an admin's, as it is.
func (q *Queue) HoldHostLonger(ctx context.Context, name string, until time.Time, reason string) error {
	hold, err := q.holdOf(name, until, reason)
	if err != nil {
		return err
	}
	return q.change(ctx, func(ctx context.Context, tx Tx) error { return tx.HoldHostLonger(ctx, clean(name), hold) })
}

// holdOf is the hold of a host as it is stored.
func (q *Queue) holdOf(name string, until time.Time, reason string) (HostHold, error) {
	if name == "" || strings.TrimSpace(reason) == "" {
		return HostHold{}, core.Errorf(core.KindInvalid, "give a host name and a reason for holding it")
	}
	now := q.clock()
	switch last := now.Add(forever); {
	case until.IsZero() || until.After(last):
		until = last
	case !until.After(now):
		return HostHold{}, core.Errorf(core.KindInvalid, "the hold of %q would end at %s, which is past", clip(name), until.UTC().Format(time.RFC3339))
	}
	return HostHold{Until: until, Reason: clip(reason)}, nil
}

// ResumeHost ends the hold of an upstream host.
func (q *Queue) ResumeHost(ctx context.Context, name string) error {
	return q.change(ctx, func(ctx context.Context, tx Tx) error { return tx.HoldHost(ctx, clean(name), HostHold{}) })
}

// EndHold ends the hold of an upstream host if it is still the one for this
// reason, and not somebody else's by now.
func (q *Queue) EndHold(ctx context.Context, name, reason string) error {
	return q.change(ctx, func(ctx context.Context, tx Tx) error { return tx.EndHold(ctx, clean(name), reason) })
}

// HostHolds lists the upstream hosts that are held now.
func (q *Queue) HostHolds(ctx context.Context) (map[string]HostHold, error) {
	return q.store.HostHolds(ctx, q.clock())
}

// HeldRewrites lists the rewritten refs of a Lorry, or of all ("").
func (q *Queue) HeldRewrites(ctx context.Context, path string) ([]HeldRewrite, error) {
	return q.store.HeldRewrites(ctx, path)
}

// ApproveRewrite lets the rewrite of a ref to that tip be sent with the next
// job, which becomes due now; old, unless it is "", is what the ref is downstream
// as far as the admin knows. core.KindConflict when either has moved on,
// core.KindNotFound when no rewrite of the ref is held at all.
func (q *Queue) ApproveRewrite(ctx context.Context, path, ref, old, tip string) error {
	now := q.clock()
	return q.change(ctx, func(ctx context.Context, tx Tx) error {
		if err := tx.ApproveRewrite(ctx, path, ref, old, tip); err != nil {
			return err
		}
		return tx.Retry(ctx, path, now)
	})
}

// StopJob sets the kill flag, which the minion sees with its next update;
// core.KindConflict when the job does not run.
func (q *Queue) StopJob(ctx context.Context, id core.JobID) error {
	return q.store.Write(ctx, func(ctx context.Context, tx Tx) error { return tx.Kill(ctx, id, core.FailKilled) })
}

// noteKept bounds one note to a job's output, in bytes.
const noteKept = 4 << 10

// AppendOutput adds a note to the output of a job, at the end of what was kept;
// core.KindNotFound when there is no such job.
func (q *Queue) AppendOutput(ctx context.Context, id core.JobID, text string) error {
	text = clean(text)
	if len(text) > noteKept {
		text = text[:runeStart(text, noteKept)] + "…\n"
	}
	if text == "" {
		return nil
	}
	return q.store.Write(ctx, func(ctx context.Context, tx Tx) error { return tx.AppendOutput(ctx, id, text) })
}

// RemoveJob forgets an ended job; core.KindConflict while it runs.
func (q *Queue) RemoveJob(ctx context.Context, id core.JobID) error {
	var removed int
	err := q.store.Write(ctx, func(ctx context.Context, tx Tx) (err error) {
		removed, err = tx.RemoveJobs(ctx, []core.JobID{id})
		return err
	})
	if err != nil || removed > 0 {
		return err
	}
	if _, err := q.store.Job(ctx, id); err != nil {
		return err
	}
	return core.Errorf(core.KindConflict, "job %d is running; stop it first", id)
}
