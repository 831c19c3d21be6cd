package events

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// tailEvery is how often it is asked how far the followed jobs have come, in one
// question for all of them.
const tailEvery = 300 * time.Millisecond

// tails waits for the output of jobs, for many at once.
type tails struct {
	source Source
	log    hclog.Logger

	mu      sync.Mutex
	waiting map[*waiter]bool
	polling bool
	polls   sync.WaitGroup
}

// waiter waits until a job has more output than it knows, is further, or has
// ended.
type waiter struct {
	id   core.JobID
	kept int64
	// far is the progress that it knows, if it cares.
	far   *core.Progress
	cares bool
	news  chan queue.Tail // has room for one; closed without one when the job is gone
}

// wait returns when there is news for w.
func (t *tails) wait(ctx context.Context, w *waiter) (queue.Tail, error) {
	w.news = make(chan queue.Tail, 1)
	t.mu.Lock()
	t.waiting[w] = true
	if !t.polling {
		t.polling = true
		t.polls.Go(t.poll)
	}
	t.mu.Unlock()
	defer func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.waiting, w)
	}()
	select {
	case tail, there := <-w.news:
		if !there {
			return tail, core.Errorf(core.KindNotFound, "there is no job %d any more", w.id)
		}
		return tail, nil
	case <-ctx.Done():
		return queue.Tail{}, ctx.Err()
	}
}

// poll asks again and again while somebody waits.
func (t *tails) poll() {
	ticker := time.NewTicker(tailEvery)
	defer ticker.Stop()
	for {
		ids := t.asked()
		if ids == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), pollTimeout)
		found, err := t.source.Tails(ctx, ids)
		cancel()
		if err != nil {
			t.log.Warn("can't tell how far jobs have come", "error", err)
		} else {
			t.tell(ids, found)
		}
		<-ticker.C
	}
}

// asked gives the jobs that somebody waits for; nil ends the polling.
func (t *tails) asked() []core.JobID {
	t.mu.Lock()
	defer t.mu.Unlock()
	var ids []core.JobID
	seen := map[core.JobID]bool{}
	for w := range t.waiting {
		if !seen[w.id] {
			seen[w.id] = true
			ids = append(ids, w.id)
		}
	}
	if ids == nil {
		t.polling = false
	}
	return ids
}

// tell wakes those for whom there is news. Jobs that were asked for and not
// found are gone.
func (t *tails) tell(ids []core.JobID, found []queue.Tail) {
	known, asked := map[core.JobID]queue.Tail{}, map[core.JobID]bool{}
	for _, tail := range found {
		known[tail.ID] = tail
	}
	for _, id := range ids {
		asked[id] = true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for w := range t.waiting {
		tail, there := known[w.id]
		switch {
		case !asked[w.id]:
			continue // it came meanwhile
		case !there:
			close(w.news)
		case tail.Kept > w.kept || tail.Ended || w.cares && further(w.far, tail.Progress):
			w.news <- tail
		default:
			continue
		}
		delete(t.waiting, w)
	}
}

// further reports whether progress is other than what is known; none is no news.
func further(known, now *core.Progress) bool {
	return now != nil && (known == nil || *known != *now)
}
