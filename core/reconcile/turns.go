package reconcile

import (
	"context"
	"errors"

	"github.com/lorry-controller/lorry-controller/core"
)

// ErrOvertaken says that another core has begun to apply what it read later. What
// this one has read is not applied any further. It is of core.KindConflict.
var ErrOvertaken = core.Errorf(core.KindConflict, "another core has begun to apply what it read later")

// confgitTurn names the turn of applying a CONFGIT. That of applying the listing
// of a host has the name of the host's section.
const confgitTurn = "confgit"

// anyTurn is for who takes the turn whoever had the last one.
const anyTurn = -1

type turnKey struct{}

type turn struct {
	name   string
	number int64
}

// UnderTurn gives the context of what is done in a turn: what the Store is asked to
// change is refused with ErrOvertaken when another core has taken the next one.
func UnderTurn(ctx context.Context, name string, number int64) context.Context {
	return context.WithValue(ctx, turnKey{}, turn{name, number})
}

// TurnOf gives the turn under which a Store is asked to change something; there is
// false for what is done in none.
func TurnOf(ctx context.Context) (name string, number int64, there bool) {
	t, there := ctx.Value(turnKey{}).(turn)
	return t.name, t.number, there
}

// takeTurn gives the context of the turn after the one that was seen before
// reading what is to be applied now.
func (r *Reconciler) takeTurn(ctx context.Context, name string, seen int64) (context.Context, error) {
	number, err := r.opts.Store.TakeTurn(ctx, name, seen)
	return UnderTurn(ctx, name, number), err
}

func overtaken(err error) bool { return errors.Is(err, ErrOvertaken) }
