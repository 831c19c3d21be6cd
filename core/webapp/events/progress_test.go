package events_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// receiving is progress, and receivingJSON how the API shows it.
var receiving = &core.Progress{Phase: "Receiving objects", Done: 450, Total: 1000, Bytes: 3 << 19, Rate: 3 << 20, Refs: 7, RefsDone: 2}

const receivingJSON = `{"phase":"Receiving objects","done":450,"total":1000,"bytes":1572864,"rate":3145728,"refs":7,"refs_done":2,` +
	`"text":"Receiving objects: 45% (450 of 1000), 1.5 MiB, 3.0 MiB/s, 2 of 7 refs"}`

func TestProgressIsToldAndNotKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.queue.Put(lorry("a"))
	body, _ := w.open("/events")
	w.next(body)
	c := w.claim()
	began := w.await(body, "job", `"running"`)
	w.update(queue.UpdateParams{Job: c.Job.ID, Progress: receiving})
	want := told{"", "progress", `{"job_id":1,"path":"a","minion":"m","progress":` + receivingJSON + `}`}
	if diff := cmp.Diff(want, w.await(body, "progress", "")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	w.update(queue.UpdateParams{Job: c.Job.ID, Done: true, Exit: "0"})
	w.await(body, "job", `"succeeded"`)
	again, _ := w.open("/events", "Last-Event-ID", began[0])
	for {
		e := w.next(again)
		if e[1] == "progress" || e[1] == "reset" {
			t.Fatalf("whoever comes back is told %q", e)
		}
		if e[1] == "job" && strings.Contains(e[2], `"succeeded"`) {
			return
		}
	}
}

func TestProgressIsFollowedWithTheOutput(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string][]string{
		"text/plain":           {},
		"application/x-ndjson": {`{"offset":4,"text":"","progress":` + receivingJSON + "}\n"},
		"text/event-stream":    {"id: 4\nevent: progress\ndata: {\"offset\":4,\"text\":\"\",\"progress\":" + receivingJSON + "}\n\n"},
	} {
		t.Run(accept, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.queue.Put(lorry("a"))
			c := w.claim()
			w.update(queue.UpdateParams{Job: c.Job.ID, Output: "one\n"})
			body, _ := w.open("/job/1?follow=1", "Accept", accept)
			first, err := body.Peek(4)
			if err != nil || len(first) != 4 {
				t.Fatal(err)
			}
			w.update(queue.UpdateParams{Job: c.Job.ID, Progress: receiving})
			var got strings.Builder
			for len(want) > 0 && !strings.Contains(got.String(), `"progress"`) {
				line, err := body.ReadString('\n')
				if err != nil {
					t.Fatalf("%v after %q", err, got.String())
				}
				got.WriteString(line)
			}
			w.update(queue.UpdateParams{Job: c.Job.ID, Output: "two\n", Done: true, Exit: "0"})
			got.WriteString(w.all(body))
			for _, part := range want {
				if strings.Count(got.String(), part) != 1 {
					t.Errorf("want once\n%s\ngot\n%s", part, got.String())
				}
			}
			if len(want) == 0 && got.String() != "one\ntwo\n" {
				t.Errorf("got %q", got.String())
			}
		})
	}
}
