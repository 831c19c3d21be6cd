package minion

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// TestAJobThatWasLostBeforeItBeganIsNotRun has a minion that got two jobs at
// once and can't tell the end of one for most of a lease. The other one is lost
// meanwhile, or not.
func TestAJobThatWasLostBeforeItBeganIsNotRun(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]bool{"lost": true, "still its own": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			ran := filepath.Join(t.TempDir(), "ran")
			b.program(t, "lorry", oursHelp+`echo ran >>`+ran+`; cat <&3 >/dev/null; echo '{"path":"a","exit":0,"digest":"d1"}' >&4`)
			b.put("a", "b")
			w := b.worker(t)
			answer, err := w.ask(t.Context(), 2)
			jobs := answer.All()
			if err != nil || len(jobs) != 2 {
				t.Fatal(jobs, err)
			}
			jobs[0].Lease, jobs[1].Lease = 3, 3
			var times atomic.Int64
			b.answerWith(func(w http.ResponseWriter, r *http.Request) {
				// The pauses between so many take longer than half of the lease.
				if times.Add(1) <= 4 {
					w.WriteHeader(http.StatusBadGateway)
					return
				}
				b.inner.ServeHTTP(w, r)
			})
			if lost {
				end := []queue.UpdateParams{{Job: *jobs[0].JobID, Done: true, Exit: "lost"}}
				if _, err := b.queue.Update(t.Context(), end); err != nil {
					t.Fatal(err)
				}
			}
			w.batch(t.Context(), jobs)
			_, err = os.Stat(ran)
			if errors.Is(err, fs.ErrNotExist) != lost {
				t.Errorf("whether lorry ran: %v", err)
			}
			want := map[bool][]string{true: {"lost", "returned"}, false: {"0", "returned"}}[lost]
			got := []string{b.await(t, *jobs[0].JobID, ended).Exit, b.await(t, *jobs[1].JobID, ended).Exit}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestJobsWithoutANumberAreLeftOut holds that a broken answer ends no minion,
// and is told once.
func TestJobsWithoutANumberAreLeftOut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.program(t, "lorry", oneJob)
	b.put("up/foo")
	log := &lines{}
	b.options.Log = hclog.New(&hclog.LoggerOptions{Output: log, DisableTime: true})
	var times atomic.Int64
	b.answerWith(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/1.0/give-me-job" && times.Add(1) <= 2 {
			fmt.Fprint(w, `{"version":2,"jobs":[{"path":"x"},{"path":"y"}]}`)
			return
		}
		b.inner.ServeHTTP(w, r)
	})
	stop := b.start(t)
	b.await(t, 1, func(j core.Job) bool { return ended(j) && j.Exit == "0" })
	stop()
	if n := strings.Count(log.String(), `[WARN]  controller's answer names jobs without a job_id, they are left out: jobs=2`); n != 1 {
		t.Errorf("told %d times:\n%s", n, log)
	}
}

// lines is a log that several goroutines write.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
