package minions

import (
	"context"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
)

const (
	// noteEvery is how often a minion's sign of life is recorded at most.
	noteEvery = 20 * time.Second
	// registryTimeout bounds one look at the STATEDB.
	registryTimeout = 10 * time.Second
	// mostNames bounds how many minions are remembered here, and how long their
	// texts are, whatever is sent.
	mostNames, mostText, mostLabels = 10_000, 200, 50
)

// registry records which minions there are. What it remembers only spares
// writing the same to the STATEDB again.
type registry struct {
	queue Queue

	mu    sync.Mutex
	noted map[string]queue.Minion // as they were recorded last
	told  map[skew]bool           // what the log has
}

// skew is a minion that speaks another version of the protocol.
type skew struct {
	name     string
	protocol int
}

func newRegistry(q Queue) *registry {
	return &registry{queue: q, noted: map[string]queue.Minion{}, told: map[skew]bool{}}
}

// minionOf is who asks for a job.
func minionOf(r *http.Request, ask protocol.GiveMeJob, now time.Time) queue.Minion {
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		address = ""
	}
	m := queue.Minion{
		Name: ask.Host, Address: address, PID: ask.PID, Protocol: max(ask.Version, 1), Build: clip(ask.Build), First: now, Seen: now,
	}
	for _, label := range ask.Labels[:min(len(ask.Labels), mostLabels)] {
		if label = clip(strings.TrimSpace(label)); label != "" {
			m.Labels = append(m.Labels, label)
		}
	}
	return m
}

func clip(text string) string {
	if len(text) <= mostText {
		return text
	}
	return strings.ToValidUTF8(text[:mostText], "")
}

// skewed gives, once for each name and version, what to say of a minion that
// speaks an older or newer protocol; "" otherwise.
func (g *registry) skewed(m queue.Minion) (hint string) {
	who := skew{m.Name, m.Protocol}
	if m.Name == "" || m.Protocol == protocol.Version {
		return ""
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.told[who] || len(g.told) >= mostNames {
		return ""
	}
	g.told[who] = true
	if m.Protocol > protocol.Version {
		return "it is answered in this controller's version; upgrade the controller"
	}
	return "it works, without leases, long polls and credentials in the answer; upgrade the minion"
}

// note records a sign of life, unless the last one is young and says the same.
func (g *registry) note(ctx context.Context, m queue.Minion) error {
	if m.Name == "" || !g.isNews(m) {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), registryTimeout)
	defer cancel()
	if err := g.queue.SeeMinions(ctx, []queue.Minion{m}); err != nil {
		g.mu.Lock()
		delete(g.noted, m.Name)
		g.mu.Unlock()
		return err
	}
	return nil
}

// isNews says whether a minion is to be recorded, and takes it for recorded.
func (g *registry) isNews(m queue.Minion) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	old, known := g.noted[m.Name]
	same := known && old.Address == m.Address && old.PID == m.PID && old.Protocol == m.Protocol && old.Build == m.Build && (old.Short == "") == (m.Short == "") && slices.Equal(old.Labels, m.Labels)
	age := m.Seen.Sub(old.Seen)
	if same && age >= 0 && age < noteEvery {
		return false
	}
	if len(g.noted) >= mostNames {
		clear(g.noted)
	}
	g.noted[m.Name] = m
	return true
}

// know records who asks, and says when it speaks another version.
func (m *Minions) know(r *exchange.Request, ask protocol.GiveMeJob) {
	who := minionOf(r.Request, ask, m.clock())
	who.Short = m.short(ask)
	if hint := m.known.skewed(who); hint != "" {
		m.log.Info("a minion speaks another version of the protocol", "minion", who.Name, "address", who.Address,
			"protocol", who.Protocol, "build", who.Build, "controller", protocol.Version, "hint", hint)
	}
	if err := m.known.note(r.Context(), who); err != nil {
		m.log.Warn("a minion was not recorded", "minion", ask.Host, "error", err)
	}
}
