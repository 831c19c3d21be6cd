package events

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// change is an event that is not numbered yet.
type change struct {
	kind string
	data any
}

// encode makes an event; one without an id leaves a client where it was.
func encode(id, kind string, data any) []byte {
	text, err := json.Marshal(data)
	if err != nil {
		text = []byte("{}") // the protocol's objects can always be encoded
	}
	if id == "" {
		return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", kind, text)
	}
	return fmt.Appendf(nil, "id: %s\nevent: %s\ndata: %s\n\n", id, kind, text)
}

// watch begins to look at the STATEDB, if nobody does. The first look is made
// here: what happens after it is told.
func (h *Hub) watch(ctx context.Context) error {
	h.mu.Lock()
	watched := h.run != ""
	h.mu.Unlock()
	if watched {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	now := newSnapshot()
	if _, err := now.look(ctx, h.o, nil); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.run != "" {
		return nil // another one was quicker
	}
	h.run = strconv.FormatInt(h.o.Clock().UnixNano()+int64(h.last), 36)
	h.kept, h.left = nil, time.Now()
	h.watches.Go(func() { h.watching(now) }) //nolint:contextcheck // it outlives the request that began it
	return nil
}

// watching looks again and again, and ends when nobody has listened for long.
func (h *Hub) watching(before *snapshot) {
	ticker := time.NewTicker(h.o.Every)
	defer ticker.Stop()
	troubled := false
	for {
		select {
		case <-h.draining:
			return
		case <-ticker.C:
		}
		if h.deserted() {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), pollTimeout)
		now := newSnapshot()
		changes, err := now.look(ctx, h.o, before)
		cancel()
		if err != nil {
			if !troubled {
				h.o.Log.Warn("changes can't be seen; this is tried again", "error", err, "kind", core.KindOf(err))
			}
			troubled = true
			continue
		}
		troubled = false
		before = now
		h.publish(changes)
	}
}

// deserted reports whether nobody has listened for a while, and ends the run
// of ids then.
func (h *Hub) deserted() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.listeners) > 0 || time.Since(h.left) < h.o.Linger {
		return false
	}
	h.run, h.kept = "", nil
	return true
}
