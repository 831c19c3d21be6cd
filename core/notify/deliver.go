package notify

import (
	"context"
	"slices"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

const (
	// tryFor bounds one delivery.
	tryFor = 30 * time.Second
	// firstPause and longestPause are the time to the next try, which doubles.
	firstPause   = 30 * time.Second
	longestPause = time.Hour
	// keepFor is how long a message is tried; it says nothing of interest then.
	keepFor = 72 * time.Hour
	// maxAtOnce bounds the messages of one delivery round.
	maxAtOnce = 20
)

// Deliver sends what waits for one target, in order. One that fails stays, and
// the others wait behind it; other targets have their own order.
func (n *Notifier) Deliver(ctx context.Context, t Target) error {
	waiting, err := n.o.Store.Outbox(ctx, t.Name(), maxAtOnce)
	if err != nil {
		return err
	}
	for _, o := range waiting {
		now := n.o.Clock().UTC()
		if now.Before(o.Next) {
			return nil
		}
		var err error
		if !n.wasSent(o.ID) {
			err = n.try(ctx, t, o.Message)
		}
		if ctx.Err() != nil {
			return nil
		}
		switch {
		case err == nil:
			n.o.Count(t.Name(), "sent")
			n.o.Log.Info("message was sent", "target", t.Name(), "message", o.ID)
			n.remember(o.ID, true) // should the STATEDB be away now
		case now.Sub(o.Created) >= keepFor:
			n.o.Count(t.Name(), "dropped")
			n.o.Log.Error("message was given up", "target", t.Name(), "message", o.ID, "subject", o.Message.Subject, "error", err)
		default:
			return n.again(ctx, t, o, now, err)
		}
		if err := n.o.Store.MessageSent(ctx, o.ID); err != nil {
			return err
		}
		n.remember(o.ID, false)
	}
	return nil
}

func (n *Notifier) wasSent(id string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.delivered[id]
}

func (n *Notifier) remember(id string, sent bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if sent {
		n.delivered[id] = true
	} else {
		delete(n.delivered, id)
	}
}

// again puts off a message that could not be sent.
func (n *Notifier) again(ctx context.Context, t Target, o Outgoing, now time.Time, cause error) error {
	n.o.Count(t.Name(), "failed")
	pause := longestPause
	if o.Attempts < 7 {
		pause = firstPause << o.Attempts
	}
	o.Attempts, o.Next, o.Error = o.Attempts+1, now.Add(pause), core.Clip(cause.Error(), mostError)
	n.o.Log.Warn("message could not be sent", "target", t.Name(), "message", o.ID, "attempt", o.Attempts, "again", pause, "error", cause)
	return n.o.Store.RetryMessage(ctx, o)
}

func (n *Notifier) try(ctx context.Context, t Target, m Message) error {
	ctx, cancel := context.WithTimeout(ctx, tryFor)
	defer cancel()
	return t.Send(ctx, m)
}

// Forget drops messages to targets that there are no more.
func (n *Notifier) Forget(ctx context.Context) error {
	names, err := n.o.Store.MessageTargets(ctx)
	if err != nil {
		return err
	}
	for _, name := range names {
		if slices.ContainsFunc(n.settings.Load().Targets, func(t Target) bool { return t.Name() == name }) {
			continue
		}
		left, err := n.o.Store.Outbox(ctx, name, batch)
		if err != nil {
			return err
		}
		for _, o := range left {
			n.o.Log.Warn("message is dropped, its target is no longer configured", "target", name, "message", o.ID, "subject", o.Message.Subject)
			if err := n.o.Store.MessageSent(ctx, o.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// Test sends a test message to every target at once, and tells each result.
func Test(ctx context.Context, targets []Target, m Message, tell func(target string, err error)) bool {
	ok := true
	for _, t := range targets {
		ctx, cancel := context.WithTimeout(ctx, tryFor)
		err := t.Send(ctx, m)
		cancel()
		tell(t.Name(), err)
		ok = ok && err == nil
	}
	return ok
}

// mostError is how much of an error is kept, in characters.
const mostError = 300
