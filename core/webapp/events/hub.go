package events

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
)

const (
	defaultEvery     = time.Second
	defaultHeartbeat = 15 * time.Second
	defaultLinger    = 5 * time.Minute
	// window is how many events are kept for those who come back.
	window = 4096
	// backlog is how many events a listener may be behind before it is let go.
	backlog = 512
	// maxListeners and maxFollowers bound who may listen at a time.
	maxListeners, maxFollowers = 1000, 500
)

// Options are what a Hub needs. Source, Clock and Log are required.
type Options struct {
	Source   Source
	Adapters Adapters // may be nil
	Clock    core.Clock
	Log      hclog.Logger
	Version  string // the controller's, for the first event
	// Every is how often the STATEDB is looked at while somebody listens; 0
	// means a second.
	Every time.Duration
	// Heartbeat is how often a quiet stream shows that it lives; 0 means 15
	// seconds.
	Heartbeat time.Duration
	// Linger is for how long it is looked on when nobody listens, so that those
	// who come back miss nothing; 0 means five minutes.
	Linger time.Duration
}

// Hub serves the streams. Drain and then Close end it.
type Hub struct {
	o     Options
	tails *tails

	drainOnce sync.Once
	draining  chan struct{}
	watches   sync.WaitGroup

	mu        sync.Mutex
	listeners map[*listener]bool
	followers int
	run       string // names this run of ids; "" while nobody watches
	last      uint64 // id of the newest event of the run
	kept      []event
	left      time.Time // when the last listener left
}

// event is one event as it is sent.
type event struct {
	id   uint64
	text []byte
}

// listener is one client. Its channel is closed when it is let go.
type listener struct {
	events chan []byte
}

// New makes a Hub. It does nothing until somebody listens.
func New(o Options) *Hub {
	if o.Every <= 0 {
		o.Every = defaultEvery
	}
	if o.Heartbeat <= 0 {
		o.Heartbeat = defaultHeartbeat
	}
	if o.Linger <= 0 {
		o.Linger = defaultLinger
	}
	return &Hub{
		o: o, tails: &tails{source: o.Source, log: o.Log, waiting: map[*waiter]bool{}},
		draining: make(chan struct{}), listeners: map[*listener]bool{},
	}
}

// Drain ends all streams. Clients that come again are sent away. It may be
// called more than once.
func (h *Hub) Drain() { h.drainOnce.Do(func() { close(h.draining) }) }

// Close drains and waits for what runs in the background. No request may come
// any more.
func (h *Hub) Close() {
	h.Drain()
	h.watches.Wait()
	h.tails.polls.Wait()
}

// enter counts a client in, unless there are too many; leave counts it out.
func (h *Hub) enter(count *int, most int) (leave func(), err error) {
	select {
	case <-h.draining:
		return nil, &core.Error{Kind: core.KindUnavailable, Fact: "the controller is stopping", Hint: "come again soon", RetryAfter: time.Second}
	default:
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if *count >= most {
		return nil, &core.Error{
			Kind: core.KindRateLimited, Fact: fmt.Sprintf("there are %d such streams already", most),
			Hint: "close some, or come again later", RetryAfter: 10 * time.Second,
		}
	}
	*count++
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		*count--
	}, nil
}

// whileServing gives a context that also ends when the hub drains.
func (h *Hub) whileServing(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-h.draining:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		cancel()
		<-done
	}
}

// Events answers GET /1.0/events.
func (h *Hub) Events(r *exchange.Request) (exchange.Answer, error) {
	if r.Method == http.MethodHead {
		return exchange.Func(func(w http.ResponseWriter, _ *http.Request) { headSSE(w) }), nil
	}
	lastID := strings.TrimSpace(r.Header.Get("Last-Event-ID"))
	if lastID == "" {
		lastID = strings.TrimSpace(r.Form.Get("last-event-id")) // a program that can't set headers
	}
	l, first, err := h.listen(r.Context(), lastID)
	if err != nil {
		return nil, err
	}
	return exchange.Func(func(w http.ResponseWriter, r *http.Request) {
		defer h.leave(l)
		h.serve(w, r, l, first)
	}), nil
}

func headSSE(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Content-Type", asSSE)
	header.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
}

// serve sends events until the client is gone, too slow, or the hub drains.
func (h *Hub) serve(w http.ResponseWriter, r *http.Request, l *listener, first []byte) {
	headSSE(w)
	s := newStream(w)
	beat := time.NewTicker(h.o.Heartbeat)
	defer beat.Stop()
	piece := append([]byte("retry: 2000\n\n"), first...)
	for {
		if err := s.send(piece); err != nil {
			return
		}
		select {
		case text, there := <-l.events:
			if !there {
				h.o.Log.Debug("a listener was too slow", "from", r.RemoteAddr)
				return
			}
			piece = h.together(l, text)
		case <-beat.C:
			piece = []byte(": still here\n\n")
		case <-r.Context().Done():
			return
		case <-h.draining:
			return
		}
	}
}

// together takes what waits too, so that a burst is one write.
func (h *Hub) together(l *listener, piece []byte) []byte {
	const most = 64 << 10
	for len(piece) < most {
		select {
		case text, there := <-l.events:
			if !there {
				return piece
			}
			piece = append(piece[:len(piece):len(piece)], text...)
		default:
			return piece
		}
	}
	return piece
}

// listen makes a listener, and gives what it is to be sent first: what it
// missed, or a reset when that is not known any more.
func (h *Hub) listen(ctx context.Context, lastID string) (*listener, []byte, error) {
	select {
	case <-h.draining:
		return nil, nil, &core.Error{Kind: core.KindUnavailable, Fact: "the controller is stopping", Hint: "come again soon", RetryAfter: time.Second}
	default:
	}
	if err := h.watch(ctx); err != nil {
		return nil, nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.listeners) >= maxListeners {
		return nil, nil, &core.Error{
			Kind: core.KindRateLimited, Fact: fmt.Sprintf("there are %d listeners already", maxListeners),
			Hint: "close some, or come again later", RetryAfter: 10 * time.Second,
		}
	}
	l := &listener{events: make(chan []byte, backlog)}
	h.listeners[l] = true
	start := protocol.EventStart{Version: h.o.Version, Timestamp: h.o.Clock().Unix()}
	if lastID == "" {
		return l, encode(h.id(h.last), protocol.EventHello, start), nil
	}
	missed, known := h.since(lastID)
	if !known {
		return l, encode(h.id(h.last), protocol.EventReset, start), nil
	}
	return l, missed, nil
}

// leave forgets a listener.
func (h *Hub) leave(l *listener) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.listeners, l)
	h.left = time.Now()
}

func (h *Hub) id(n uint64) string { return h.run + "-" + strconv.FormatUint(n, 10) }

// since gives the events behind an id; false when they are not all known. The
// caller holds the lock.
func (h *Hub) since(lastID string) (missed []byte, known bool) {
	run, number, _ := strings.Cut(lastID, "-")
	n, err := strconv.ParseUint(number, 10, 64)
	if err != nil || run != h.run || n > h.last {
		return nil, false
	}
	if n < h.last && (len(h.kept) == 0 || h.kept[0].id > n+1) {
		return nil, false
	}
	for _, e := range h.kept {
		if e.id > n {
			missed = append(missed, e.text...)
		}
	}
	return missed, true
}

// publish sends events to all listeners. One whose backlog is full is let go:
// it comes back with the id of what it got last.
func (h *Hub) publish(changes []change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range changes {
		if c.kind == protocol.EventProgress {
			h.mention(encode("", c.kind, c.data))
			continue
		}
		h.last++
		e := event{h.last, encode(h.id(h.last), c.kind, c.data)}
		h.kept = append(h.kept, e)
		for l := range h.listeners {
			select {
			case l.events <- e.text:
			default:
				close(l.events)
				delete(h.listeners, l)
			}
		}
	}
	if extra := len(h.kept) - window; extra > 0 {
		h.kept = append(h.kept[:0], h.kept[extra:]...)
	}
}

// mention sends what nobody has to know: it is not kept, and a listener that
// is far behind does without. The caller holds the lock.
func (h *Hub) mention(text []byte) {
	for l := range h.listeners {
		if len(l.events) > backlog/2 {
			continue
		}
		select {
		case l.events <- text:
		default:
		}
	}
}

// Followers is how many clients follow a job's output now.
func (h *Hub) Followers() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.followers
}
