package events_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/webapp/events"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
	"github.com/lorry-controller/lorry-controller/core/webapp/webapptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a hub behind HTTP, over a queue in memory.
type world struct {
	*testing.T
	queue  *webapptest.Queue
	clock  *webapptest.Clock
	hub    *events.Hub
	server *httptest.Server
}

func newWorld(t *testing.T, change ...func(*events.Options)) *world {
	t.Helper()
	clock := webapptest.NewClock()
	w := &world{T: t, queue: webapptest.NewQueue(clock.Now), clock: clock}
	o := events.Options{
		Source: w.queue, Clock: clock.Now, Log: hclog.NewNullLogger(), Version: "1.2.3",
		Every: 5 * time.Millisecond, Heartbeat: 20 * time.Millisecond,
	}
	for _, c := range change {
		c(&o)
	}
	w.hub = events.New(o)
	w.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		handler, id := w.hub.Events, ""
		if rest, ok := strings.CutPrefix(r.URL.Path, "/job/"); ok {
			handler, id = w.hub.Output, rest
		}
		form, err := exchange.NewBodies(1000).Form(rw, r)
		if err != nil {
			t.Error(err)
		}
		answer, err := handler(&exchange.Request{Request: r, Form: form, Param: func(string) string { return id }})
		if err != nil {
			answer = exchange.Error(exchange.Status(err), err)
		}
		answer.WriteTo(rw, r)
	}))
	t.Cleanup(func() {
		w.hub.Drain()
		w.server.Close()
		w.hub.Close()
	})
	return w
}

// open begins a request; it ends with the test at the latest.
func (w *world) open(path string, headers ...string) (body *bufio.Reader, end func()) {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	w.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, w.server.URL+path, nil)
	if err != nil {
		w.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := w.server.Client().Do(r)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = response.Body.Close() })
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(response.Body)
		w.Fatalf("%s: %s %s", path, response.Status, text)
	}
	return bufio.NewReader(response.Body), cancel
}

// told is one event as a client reads it.
type told [3]string // id, kind, data

// next reads the next event, passing over heartbeats.
func (w *world) next(body *bufio.Reader) told {
	w.Helper()
	var e told
	for {
		line, err := body.ReadString('\n')
		if err != nil {
			w.Fatalf("stream ended: %v", err)
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "id":
			e[0] = value
		case "event":
			e[1] = value
		case "data":
			e[2] = value
		case "":
			if e[1] != "" {
				return e
			}
		}
	}
}

// await reads until an event of a kind whose data has a text.
func (w *world) await(body *bufio.Reader, kind, text string) told {
	w.Helper()
	for {
		if e := w.next(body); e[1] == kind && strings.Contains(e[2], text) {
			return e
		}
	}
}

func lorry(path string) core.LorryState {
	return core.LorryState{Lorry: core.Lorry{Path: path, Interval: time.Hour}}
}

func (w *world) claim() queue.Claimed {
	w.Helper()
	got, err := w.queue.Claim(w.Context(), queue.ClaimParams{Minion: "m", Max: 1})
	if err != nil || len(got) != 1 {
		w.Fatalf("%v %v", got, err)
	}
	return got[0]
}

func (w *world) update(p queue.UpdateParams) {
	w.Helper()
	if _, err := w.queue.Update(w.Context(), []queue.UpdateParams{p}); err != nil {
		w.Fatal(err)
	}
}

func TestChangesAreTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.queue.Put(lorry("a"))
	body, _ := w.open("/events")
	hello := w.next(body)
	if diff := cmp.Diff(told{hello[0], "hello", `{"version":"1.2.3","timestamp":1772366400}`}, hello); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	c := w.claim()
	w.await(body, "job", `"job_id":1,"path":"a","minion":"m","state":"running"`)
	w.await(body, "queue", `"running":1`)
	if err := w.queue.StopJob(t.Context(), c.Job.ID); err != nil {
		t.Fatal(err)
	}
	w.await(body, "job", `"state":"stopping"`)
	w.update(queue.UpdateParams{Job: c.Job.ID, Done: true, Exit: "1", Failure: core.Failure{Kind: core.FailAuth, Cause: "no"}})
	w.await(body, "job", `"state":"failed","exit":"1"`)
	w.await(body, "lorry", `"path":"a","state":"failing"`)
	for _, step := range []struct {
		do         func() error
		kind, text string
	}{
		{func() error { return w.queue.SetRunning(t.Context(), false) }, "queue", `"running_queue":false`},
		{func() error { return w.queue.HoldLorry(t.Context(), "a", "moving") }, "lorry", `"held_reason":"moving"`},
		{func() error { return w.queue.ResumeLorry(t.Context(), "a") }, "lorry", `"held_reason":""`},
		{func() error { w.queue.SetHosts(core.HostState{Name: "h", LsError: "away"}); return nil }, "host", `"state":"failing"`},
		{func() error { return w.queue.HoldHost(t.Context(), "h", w.clock.Now().Add(time.Hour), "rest") }, "hold", `"host":"h","reason":"rest"`},
		{func() error { return w.queue.ResumeHost(t.Context(), "h") }, "hold", `"host":"h","reason":""`},
		{func() error { w.queue.SetHosts(); return nil }, "host", `"state":"gone"`},
		{func() error { w.queue.SetHeldRewrites(queue.HeldRewrite{Path: "a", Ref: "r", New: "n"}); return nil }, "rewrite", `"state":"held"`},
		{func() error { return w.queue.ApproveRewrite(t.Context(), "a", "r", "", "n") }, "rewrite", `"state":"approved"`},
		{func() error { return w.queue.SeeMinions(t.Context(), []queue.Minion{{Name: "m"}}) }, "minion", `"name":"m","draining":false`},
		{func() error { return w.queue.DrainMinion(t.Context(), "m", true) }, "minion", `"draining":true`},
		{func() error { w.queue.SetConfigCommit("c2"); return nil }, "config", `"commit":"c2"`},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		w.await(body, step.kind, step.text)
	}
}

func TestWhoComesBackMissesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body, end := w.open("/events")
	w.next(body)
	w.queue.SetConfigCommit("c1")
	seen := w.await(body, "config", "c1")
	end()
	other, _ := w.open("/events")
	w.next(other)
	w.queue.SetConfigCommit("c2")
	w.await(other, "config", "c2")
	w.queue.SetConfigCommit("c3")
	w.await(other, "config", "c3")
	body, _ = w.open("/events", "Last-Event-ID", seen[0])
	w.await(body, "config", "c2")
	w.await(body, "config", "c3")
	body, _ = w.open("/events?last-event-id=" + seen[0])
	w.await(body, "config", "c2")
	for _, id := range []string{"other-1", "x", seen[0] + "000", "-1"} {
		body, _ := w.open("/events", "Last-Event-ID", id)
		if got := w.next(body)[1]; got != "reset" {
			t.Errorf("after %q: want a reset, got %q", id, got)
		}
	}
}

func TestWhatIsTooOldIsAReset(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body, _ := w.open("/events")
	w.next(body)
	w.queue.SetConfigCommit("first")
	seen := w.await(body, "config", "first")
	for i := range 60 { // more than the window holds, in few looks
		var held []queue.HeldRewrite
		for n := range 100 {
			held = append(held, queue.HeldRewrite{Path: "p", Ref: fmt.Sprint(n), New: fmt.Sprint(i)})
		}
		w.queue.SetHeldRewrites(held...)
		w.await(body, "rewrite", fmt.Sprintf(`"ref":"99","old":"","new":"%d"`, i))
	}
	back, _ := w.open("/events", "Last-Event-ID", seen[0])
	if got := w.next(back)[1]; got != "reset" {
		t.Errorf("want a reset, got %q", got)
	}
}

func TestAQuietStreamShowsThatItLives(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	body, _ := w.open("/events")
	for {
		line, err := body.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(line, ": still here") {
			return
		}
	}
}

// brokenSource fails while it is told to.
type brokenSource struct {
	*webapptest.Queue
	broken atomic.Bool
}

func (b *brokenSource) Status(ctx context.Context) (queue.Status, error) {
	if b.broken.Load() {
		return queue.Status{}, core.Errorf(core.KindUnavailable, "state database: it is away")
	}
	return b.Queue.Status(ctx)
}

func TestAStateDatabaseThatComesBackIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	source := &brokenSource{}
	w := newWorld(t, func(o *events.Options) {
		source.Queue = o.Source.(*webapptest.Queue)
		o.Source = source
	})
	body, _ := w.open("/events")
	w.next(body)
	source.broken.Store(true)
	w.queue.SetConfigCommit("c1")
	if line, err := body.ReadString('\n'); err != nil { // the stream goes on
		t.Fatal(line, err)
	}
	source.broken.Store(false)
	w.await(body, "config", "c1")
}

// TestManyListenersAreCheap opens 200 streams, of which one never reads.
func TestManyListenersAreCheap(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const many = 200
	w.open("/events") // never reads again
	var ready, done sync.WaitGroup
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	ready.Add(many)
	for range many {
		body, _ := w.open("/events")
		done.Go(func() {
			w.next(body)
			ready.Done()
			for n := 0; ; {
				e := w.next(body)
				if e[1] != "config" {
					continue
				}
				var c protocol.ConfigEvent
				if err := json.Unmarshal([]byte(e[2]), &c); err != nil {
					t.Error(err)
				}
				if n++; c.Commit == "last" {
					return
				}
			}
		})
	}
	ready.Wait()
	runtime.GC()
	runtime.ReadMemStats(&after)
	// Client and server are one process here, so this is for both ends.
	if each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / many; each > 100<<10 {
		t.Errorf("a listener takes %d KiB", each>>10)
	}
	for i := range 20 {
		w.queue.SetConfigCommit(fmt.Sprint("c", i))
	}
	w.queue.SetConfigCommit("last")
	done.Wait()
}
