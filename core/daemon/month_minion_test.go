package daemon

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
)

// stretch is a part of the steady time; without an end it goes on.
type stretch struct{ from, to time.Time }

// simMinion asks for jobs and works on them as the real one does, without doing
// anything: what comes of a job is drawn.
type simMinion struct {
	name   string
	client *protocol.Client
	draw   *rand.Rand
	wait   int           // seconds that it waits for a job in one request
	pause  time.Duration // after a request that brought none
	// fails says whether a Lorry's upstream is broken at a time.
	fails func(path string, at time.Time) bool

	mu    sync.Mutex
	idle  []stretch             // when it asked for a job
	acked map[core.JobID]string // the ends that the core has acknowledged
	ends  map[string]int        // by kind
}

// run works until ctx ends.
func (m *simMinion) run(ctx context.Context) {
	for ctx.Err() == nil {
		began := time.Now()
		job, err := m.client.GiveMeJob(ctx, protocol.GiveMeJob{Host: m.name, PID: 1, Version: protocol.Version, Wait: m.wait})
		if err == nil {
			m.mu.Lock()
			m.idle = append(m.idle, stretch{began, time.Now()})
			m.mu.Unlock()
		}
		switch {
		case err != nil:
			pass(ctx, simRetry)
		case job.JobID != nil:
			m.work(ctx, job)
		default:
			pass(ctx, m.pause)
		}
	}
}

const (
	simRetry   = 20 * time.Second // after a request without an answer
	simTimeout = time.Hour        // lorry-timeout of all sections
	simReport  = time.Minute
)

// work ends a job well, or badly, or not at all.
func (m *simMinion) work(ctx context.Context, job protocol.Job) {
	kind, takes := "ok", time.Duration(2+m.draw.IntN(40))*time.Second
	switch n := m.draw.IntN(1000); {
	case n < 3:
		kind, takes = "hangs", 100*time.Hour
	case n < 6:
		kind = "vanishes"
	case n < 10:
		kind = "returns"
	case n < 30:
		takes = 20 * time.Minute
	case m.fails(job.Path, time.Now()):
		kind = "fails"
	case n < 500:
		kind = "unchanged"
	}
	m.count(kind)
	for end := time.Now().Add(takes); ; {
		pass(ctx, min(time.Until(end), simReport))
		if ctx.Err() != nil {
			m.end(context.WithoutCancel(ctx), job, protocol.Update{Exit: "returned"})
			return
		}
		if !time.Now().Before(end) {
			break
		}
		answer, err := m.client.Update(ctx, []protocol.Update{{JobID: *job.JobID, Fence: job.Fence, Exit: "no", Stdout: "still at it\n"}})
		if err == nil && answer[0].Stale {
			return
		}
		if err == nil && answer[0].Kill {
			m.end(ctx, job, protocol.Update{Exit: "-9"})
			return
		}
	}
	switch kind {
	case "vanishes":
		pass(ctx, time.Duration(3+m.draw.IntN(20))*time.Minute)
	case "returns":
		m.end(ctx, job, protocol.Update{Exit: "returned"})
	case "fails":
		m.end(ctx, job, protocol.Update{Exit: "1", Stderr: strings.Repeat("no route\n", 100), Failure: core.Failure{Kind: core.FailNetwork, Cause: "no route"}})
	case "unchanged":
		m.end(ctx, job, protocol.Update{Exit: "0", Unchanged: true, Digest: "d"})
	default:
		m.end(ctx, job, protocol.Update{Exit: "0", Stdout: strings.Repeat("new commit\n", 200), Digest: "d" + strconv.FormatInt(int64(*job.JobID), 10)})
	}
}

// end tells the core how a job ended until that is acknowledged.
func (m *simMinion) end(ctx context.Context, job protocol.Job, u protocol.Update) {
	u.JobID, u.Fence = *job.JobID, job.Fence
	for range 200 {
		answer, err := m.client.Update(ctx, []protocol.Update{u})
		if err == nil {
			if !answer[0].Stale {
				m.mu.Lock()
				m.acked[u.JobID] = u.Exit
				m.mu.Unlock()
			}
			return
		}
		if pass(ctx, simRetry); ctx.Err() != nil {
			return
		}
	}
}

func (m *simMinion) count(kind string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ends[kind]++
}

// pass lets time pass.
func pass(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(max(d, 0))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// simMinions makes some, from a seed. The first one waits for jobs to become due,
// as ours do; the others ask once a minute, as the original's.
func simMinions(n int, seed uint64, net *simNet, fails func(string, time.Time) bool) []*simMinion {
	var all []*simMinion
	for i := range n {
		wait, pause := 0, time.Minute
		if i == 0 {
			wait, pause = 60, time.Second
		}
		all = append(all, &simMinion{
			wait: wait, pause: pause,
			name: fmt.Sprintf("m%d", i), client: net.client(), draw: rand.New(rand.NewPCG(seed, uint64(i))), fails: fails,
			acked: map[core.JobID]string{}, ends: map[string]int{},
		})
	}
	return all
}

// union puts stretches together that touch; they come in order then.
func union(all ...stretch) []stretch {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b stretch) int { return a.from.Compare(b.from) })
	var out []stretch
	for _, s := range all {
		if n := len(out); n > 0 && !s.from.After(out[n-1].to) {
			if s.to.After(out[n-1].to) {
				out[n-1].to = s.to
			}
			continue
		}
		out = append(out, s)
	}
	return out
}

// within is how much of the window lies in stretches that union gave.
func within(window stretch, all []stretch) time.Duration {
	var sum time.Duration
	i, _ := slices.BinarySearchFunc(all, window.from, func(s stretch, at time.Time) int { return s.to.Compare(at) })
	for _, s := range all[i:] {
		if !s.from.Before(window.to) {
			break
		}
		from, to := s.from, s.to
		if from.Before(window.from) {
			from = window.from
		}
		if to.After(window.to) {
			to = window.to
		}
		if to.After(from) {
			sum += to.Sub(from)
		}
	}
	return sum
}

// without gives the stretches without what others cover; union gave both.
func without(all, others []stretch) []stretch {
	var out []stretch
	for _, s := range all {
		for _, o := range others {
			if !o.to.After(s.from) || !o.from.Before(s.to) {
				continue
			}
			if o.from.After(s.from) {
				out = append(out, stretch{s.from, o.from})
			}
			s.from = o.to
			if !s.from.Before(s.to) {
				break
			}
		}
		if s.from.Before(s.to) {
			out = append(out, s)
		}
	}
	return out
}
