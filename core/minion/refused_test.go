package minion

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
)

// oneJob is a lorry that brings everything.
const oneJob = oursHelp + `cat <&3 >/dev/null; echo '{"path":"x","exit":0,"digest":"d1"}' >&4`

// While the controller starts again, what is before it answers in its own
// words for a moment.
func TestWhatIsBeforeTheControllerSaysNothingAboutAJob(t *testing.T) {
	t.Parallel()
	for _, status := range []int{
		http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound,
		http.StatusConflict, http.StatusInternalServerError, http.StatusNotImplemented, http.StatusBadGateway,
	} {
		for _, path := range []string{"/1.0/give-me-job", "/1.0/job-update"} {
			t.Run(fmt.Sprintf("%d to %s", status, strings.TrimPrefix(path, "/1.0/")), func(t *testing.T) {
				t.Parallel()
				b := newBench(t)
				b.program(t, "lorry", oneJob)
				b.put("up/foo")
				var times atomic.Int64
				b.answerWith(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == path && times.Add(1) <= 2 {
						http.Error(w, "default backend - "+http.StatusText(status), status)
						return
					}
					b.inner.ServeHTTP(w, r)
				})
				b.start(t)
				if diff := cmp.Diff("0", b.await(t, 1, ended).Exit); diff != "" {
					t.Errorf("exit (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// TestAnEndThatNothingLetsThroughIsGivenUp: what is between refuses this one
// report for ever, in its own words, and takes all others.
func TestAnEndThatNothingLetsThroughIsGivenUp(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusForbidden, http.StatusInternalServerError} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			var ends atomic.Int64
			b.answerWith(func(w http.ResponseWriter, r *http.Request) {
				text, err := io.ReadAll(r.Body)
				if err != nil {
					t.Error(err)
				}
				if bytes.Contains(text, []byte(`"exit":"no"`)) {
					_, _ = io.WriteString(w, `[{"kill": false}]`)
					return
				}
				ends.Add(1)
				http.Error(w, "<h1>blocked</h1>", status)
			})
			id := core.JobID(1)
			r := newReporter(b.worker(t), protocol.Job{JobID: &id, Fence: 1}, &output{}, b.options.Log)
			r.pause.most = time.Millisecond
			r.finish(t.Context(), protocol.Update{JobID: id, Fence: 1, Exit: "0"})
			if got := ends.Load(); got <= maxRefusals || got > mostRefusals {
				t.Errorf("given up after %d refusals", got)
			}
		})
	}
}

// TestAnEndThatTheControllerRefusesIsGivenUp holds that what our controller
// says of a job, and the original's, keeps no minion from the next one.
func TestAnEndThatTheControllerRefusesIsGivenUp(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		status int
		words  string
		fence  core.Fence
	}{
		"our controller":  {http.StatusNotFound, `{"kind": "not-found", "message": "job 1 is not known"}`, 1},
		"the original's":  {http.StatusNotFound, `<title>Error: 404 Not Found</title>`, 0},
		"it breaks there": {http.StatusInternalServerError, `<title>Error: 500 Internal Server Error</title>`, 0},
		"and with us":     {http.StatusInternalServerError, `{"kind": "internal", "message": "the request could not be carried out"}`, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			var ends atomic.Int64
			b.answerWith(func(w http.ResponseWriter, r *http.Request) {
				text, _ := io.ReadAll(r.Body)
				if bytes.Contains(text, []byte(`"exit":"no"`)) {
					_, _ = io.WriteString(w, `[{"kill": false}]`)
					return
				}
				ends.Add(1)
				w.WriteHeader(test.status)
				_, _ = io.WriteString(w, test.words)
			})
			id := core.JobID(1)
			r := newReporter(b.worker(t), protocol.Job{JobID: &id, Fence: test.fence}, &output{}, b.options.Log)
			r.pause.most = time.Millisecond
			r.finish(t.Context(), protocol.Update{JobID: id, Fence: test.fence, Exit: "0"})
			want := int64(1)
			if test.status >= 500 {
				want += maxRefusals
			}
			if diff := cmp.Diff(want, ends.Load()); diff != "" {
				t.Errorf("ends that were told (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAnEndWaitsForAControllerThatTakesNothing has a controller that is broken,
// or knows the minion's token no more, and is mended after a while.
func TestAnEndWaitsForAControllerThatTakesNothing(t *testing.T) {
	t.Parallel()
	for kind, status := range map[core.Kind]int{core.KindInternal: http.StatusInternalServerError, core.KindUnauthenticated: http.StatusUnauthorized} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.put("up/foo")
			w := b.worker(t)
			answer, err := w.ask(t.Context(), 1)
			if err != nil || len(answer.All()) != 1 {
				t.Fatal(answer, err)
			}
			var times atomic.Int64
			b.answerWith(func(w http.ResponseWriter, r *http.Request) {
				if times.Add(1) > 5*maxRefusals {
					b.inner.ServeHTTP(w, r)
					return
				}
				w.WriteHeader(status)
				_ = json.NewEncoder(w).Encode(protocol.Error{Kind: kind, Message: "x"})
			})
			r := newReporter(w, answer, &output{}, b.options.Log)
			r.pause.most = time.Millisecond
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			r.finish(ctx, protocol.Update{JobID: 1, Fence: answer.Fence, Exit: "0"})
			if diff := cmp.Diff("0", b.await(t, 1, ended).Exit); diff != "" {
				t.Errorf("exit (-want +got):\n%s", diff)
			}
		})
	}
}
