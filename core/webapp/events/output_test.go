package events_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

func (w *world) all(body io.Reader) string {
	w.Helper()
	text, err := io.ReadAll(body)
	if err != nil {
		w.Fatal(err)
	}
	return string(text)
}

func TestOutputIsSentFromAnOffset(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.queue.Put(lorry("a"))
	c := w.claim()
	long := strings.Repeat("0123456789é\n", 20_000)
	w.update(queue.UpdateParams{Job: c.Job.ID, Output: long})
	for query, want := range map[string]string{"": long, "?offset=3": long[3:], "?offset=13": long[13:], "?offset=9999999": "", "?follow=0": long} {
		body, _ := w.open("/job/1" + query)
		if got := w.all(body); got != want {
			t.Errorf("%s: want %d bytes, got %d", query, len(want), len(got))
		}
	}
	var got strings.Builder
	body, _ := w.open("/job/1", "Accept", "application/x-ndjson")
	for decoder := json.NewDecoder(body); decoder.More(); {
		var part protocol.OutputPart
		if err := decoder.Decode(&part); err != nil {
			t.Fatal(err)
		}
		if part.Offset != int64(got.Len()) {
			t.Errorf("want offset %d, got %d", got.Len(), part.Offset)
		}
		got.WriteString(part.Text)
	}
	if got.String() != long {
		t.Errorf("want %d bytes in pieces, got %d", len(long), got.Len())
	}
}

func TestOutputIsFollowedToTheEndOfTheJob(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ accept, want string }{
		"text":  {"*/*", "one\ntwo \u00e9nd\nbye\n"},
		"lines": {"application/x-ndjson", `{"offset":17,"text":"","state":"failed","exit":"1","failure":{"kind":"auth","cause":"no","hint":""}}`},
		"SSE":   {"text/event-stream", "id: 17\nevent: end\ndata: {\"offset\":17,\"text\":\"\",\"state\":\"failed\",\"exit\":\"1\""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.queue.Put(lorry("a"))
			c := w.claim()
			w.update(queue.UpdateParams{Job: c.Job.ID, Output: "one\n"})
			body, _ := w.open("/job/1?follow=1", "Accept", test.accept)
			first, err := body.Peek(4)
			if err != nil || len(first) != 4 {
				t.Fatal(err)
			}
			w.update(queue.UpdateParams{Job: c.Job.ID, Output: "two \xc3"})
			w.update(queue.UpdateParams{Job: c.Job.ID, Output: "\xa9nd\n"})
			w.update(queue.UpdateParams{Job: c.Job.ID, Output: "bye\n", Done: true, Exit: "1", Failure: core.Failure{Kind: core.FailAuth, Cause: "no"}})
			got := w.all(body)
			if name == "text" && got != test.want || !strings.Contains(got, test.want) {
				t.Errorf("(-want +got):\n%s", cmp.Diff(test.want, got))
			}
			if strings.Contains(got, "\uFFFD") {
				t.Errorf("a character was cut: %q", got)
			}
		})
	}
}

func TestAStreamIsTakenUpAgainAndEndsWithTheServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.queue.Put(lorry("a"))
	c := w.claim()
	w.update(queue.UpdateParams{Job: c.Job.ID, Output: "0123456789"})
	body, _ := w.open("/job/1?follow=1&offset=2", "Accept", "text/event-stream", "Last-Event-ID", "7")
	if diff := cmp.Diff(told{"10", "output", `{"offset":7,"text":"789"}`}, w.next(body)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	w.hub.Drain()
	if rest := w.all(body); strings.Contains(rest, "event: end") {
		t.Errorf("the job goes on, but the stream says %q", rest)
	}
}

func TestWhatCanNotBeFollowedIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.queue.Put(lorry("a"))
	w.claim()
	for path, want := range map[string]int{
		"/job/2": 404, "/job/x": 404, "/job/1?offset=-1": 400, "/job/1?offset=x": 400, "/job/1?follow=maybe": 400,
	} {
		response, err := w.server.Client().Get(w.server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		var e protocol.Error
		if err := json.NewDecoder(response.Body).Decode(&e); err != nil || e.Kind == "" || e.Message == "" {
			t.Errorf("%s: %v %+v", path, err, e)
		}
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: want %d, got %d", path, want, response.StatusCode)
		}
	}
	for _, path := range []string{"/job/1?follow=1", "/events"} {
		response, err := w.server.Client().Head(w.server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("HEAD %s: got %s", path, response.Status)
		}
	}
	w.hub.Drain()
	for _, path := range []string{"/job/1?follow=1", "/events"} {
		response, err := w.server.Client().Get(w.server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
			t.Errorf("%s while it stops: got %s", path, response.Status)
		}
	}
}

func TestAFollowerThatGoesLeavesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.queue.Put(lorry("a"))
	c := w.claim()
	for range 20 {
		w.update(queue.UpdateParams{Job: c.Job.ID, Output: "x"})
		body, end := w.open("/job/1?follow=1")
		if _, err := body.ReadByte(); err != nil {
			t.Fatal(err)
		}
		end()
	}
	// The server's Close waits for all handlers, and goleak looks for the rest.
	w.server.Close()
	if got := w.hub.Followers(); got != 0 {
		t.Errorf("want no followers left, got %d", got)
	}
}
