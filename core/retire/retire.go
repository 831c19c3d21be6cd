package retire

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/audit"
)

// Retirement is a repository whose Lorry went away.
type Retirement struct {
	Path string
	// Attempts counts how often the Downstream Host was asked, or was going to
	// be: the repository may be archived as soon as it is not 0.
	Attempts int
	Next     time.Time // when it is asked again; zero: at once
	Error    string    // why the last attempt failed, or ""
	Done     time.Time // when the host had archived it; zero: not yet
}

// Store is what retiring needs of the STATEDB.
type Store interface {
	// DueRetirements gives those that are due, the longest due first, at most
	// limit. One whose Lorry is back is left out, also when the path of that
	// Lorry differs in the case of letters alone: to most hosts it is the same.
	DueRetirements(ctx context.Context, now time.Time, limit int) ([]Retirement, error)
	// BeginRetirement counts an attempt and puts the next one off, before the
	// host is asked. It reports false when there is nothing to do any more.
	BeginRetirement(ctx context.Context, path string, next time.Time) (bool, error)
	// EndRetirement records what came of an attempt. One that is done is
	// recorded even if the retirement was forgotten meanwhile.
	EndRetirement(ctx context.Context, r Retirement) error
	// ForgetRetirement is for one that can't be, and for one that was undone.
	ForgetRetirement(ctx context.Context, path string) error
}

// Host archives repositories. The Downstream Host of an adapter has it.
type Host interface {
	// RetireRepo archives one. A missing one is success; core.KindUnsupported
	// says that such hosts can't.
	RetireRepo(ctx context.Context, path string) error
}

// Options are what a Retirer needs.
type Options struct {
	Store Store
	// Host gives the Downstream Host.
	Host func() (Host, error)
	// Audit takes an entry for what was done. May be nil.
	Audit func(ctx context.Context, e audit.Entry) error
	Clock core.Clock
	Log   hclog.Logger
}

// Retirer does what is due. One goroutine uses it.
type Retirer struct {
	o Options
	// settled is set once the attempts are dealt with that an earlier core began
	// and did not live to end.
	settled bool
}

// New makes a Retirer.
func New(o Options) *Retirer {
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	return &Retirer{o: o}
}

const (
	// batch is how many repositories one round archives at most.
	batch = 100
	// patience bounds one call of the host; begun is when an attempt that never
	// ended, since its core died, is made again.
	patience = 70 * time.Second
	begun    = 2 * time.Minute
	// firstWait doubles with each failure, up to lastWait.
	firstWait, lastWait = time.Minute, 6 * time.Hour
)

// Round archives what is due. A host that can't be reached ends the round: the
// others would wait for it in vain. The error is one of the Store.
func (r *Retirer) Round(ctx context.Context) error {
	until := r.o.Clock()
	if !r.settled {
		until = until.Add(begun) // a call that is made twice does no harm
	}
	due, err := r.o.Store.DueRetirements(ctx, until, batch)
	if err != nil {
		return err
	}
	r.settled = len(due) < batch
	if len(due) == 0 {
		return nil
	}
	host, err := r.o.Host()
	if err != nil {
		return fmt.Errorf("downstream host: %w", err)
	}
	for _, one := range due {
		ok, err := r.o.Store.BeginRetirement(ctx, one.Path, r.o.Clock().Add(begun))
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		one.Attempts++
		goOn, err := r.one(ctx, host, one)
		if err != nil || !goOn || ctx.Err() != nil {
			return err
		}
	}
	return nil
}

// one archives one repository and reports whether the host may be asked again.
func (r *Retirer) one(ctx context.Context, host Host, one Retirement) (goOn bool, err error) {
	call, cancel := context.WithTimeout(ctx, patience)
	failure := host.RetireRepo(call, one.Path)
	cancel()
	if failure != nil && ctx.Err() != nil {
		return false, nil // the program stops: the next one goes on
	}
	now := r.o.Clock()
	switch {
	case failure == nil:
		one.Done, one.Error = now, ""
		r.o.Log.Info("archived a repository on the downstream host, since its Lorry went away", "path", one.Path)
		r.note(ctx, one, now, "archived", "ok")
		return true, r.o.Store.EndRetirement(ctx, one)
	case core.KindOf(failure) == core.KindUnsupported:
		r.o.Log.Warn("the downstream host can't archive repositories, so this one is left as it is", "path", one.Path, "err", failure)
		r.note(ctx, one, now, "left as it is", string(core.KindUnsupported))
		return true, r.o.Store.ForgetRetirement(ctx, one.Path)
	}
	one.Error, one.Next = reason(failure), now.Add(wait(one.Attempts, failure))
	r.o.Log.Warn("a repository can't be archived yet", "path", one.Path, "attempts", one.Attempts, "again", one.Next, "err", failure)
	if one.Attempts == 1 {
		r.note(ctx, one, now, "", string(core.KindOf(failure)))
	}
	return concernsOne(failure), r.o.Store.EndRetirement(ctx, one)
}

// reason is what people are told of a failure, with what to do about it.
func reason(failure error) string {
	var known *core.Error
	if errors.As(failure, &known) && known.Hint != "" {
		return failure.Error() + "; " + known.Hint
	}
	return failure.Error()
}

// wait is how long a repository is left alone after so many attempts.
func wait(attempts int, failure error) time.Duration {
	var known *core.Error
	if errors.As(failure, &known) && known.RetryAfter > 0 {
		return min(known.RetryAfter, lastWait)
	}
	d := firstWait
	for i := 1; i < attempts && d < lastWait; i++ {
		d *= 2
	}
	return min(d, lastWait)
}

// concernsOne reports whether a failure is about the repository, not the host.
func concernsOne(failure error) bool {
	switch core.KindOf(failure) {
	case core.KindInvalid, core.KindNotFound, core.KindConflict, core.KindReadOnly, core.KindDenied:
		return true
	default:
		return false
	}
}

func (r *Retirer) note(ctx context.Context, one Retirement, now time.Time, became, result string) {
	if r.o.Audit == nil {
		return
	}
	err := r.o.Audit(ctx, audit.Entry{
		At: now, Who: "controller", From: "upkeep", Action: "retire", Subject: "path=" + one.Path, Became: became, Result: result,
	})
	if err != nil && ctx.Err() == nil {
		r.o.Log.Warn("the audit has no entry about an archived repository", "path", one.Path, "err", err)
	}
}
