package integration

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestAKilledCoreLosesNothingThatItHasAnswered kills a core again and again while
// minions and admins ask it for things. Whatever it has answered is there when the
// next one serves.
func TestAKilledCoreLosesNothingThatItHasAnswered(t *testing.T) {
	t.Parallel()
	for _, database := range []string{"SQLite", "PostgreSQL"} {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			const minions = 6
			rounds := 3
			if os.Getenv("LORRY_TEST_SOAK") != "" {
				rounds = 200
			}
			m := newMortal(t, database == "PostgreSQL")
			m.args = append(m.args, "--configuration-directory", m.dir)
			// A kill may take the answer from each minion: the Lorry runs on then.
			m.alwaysDue(100 + minions*rounds)
			m.start()
			m.knows("m/r0")
			b := &book{jobs: map[int64]string{}, end: make(chan struct{})}
			var asking sync.WaitGroup
			for i := range minions {
				asking.Go(func() { b.minion(m.twoCores, fmt.Sprintf("box%d", i)) })
			}
			asking.Go(func() { b.admin(m.twoCores) })
			answers := 0
			for range rounds {
				delay := time.NewTimer(200*time.Millisecond + rand.N(2800*time.Millisecond))
				<-delay.C
				m.kill()
				m.start()
				answers += b.check(m.twoCores)
			}
			close(b.end)
			asking.Wait()
			answers += b.check(m.twoCores)
			m.whole()
			t.Logf("%d kills cut %d requests off; %d answers, all of them kept", rounds, b.cut.Load(), answers)
			if b.cut.Load() == 0 {
				t.Error("no kill came while something was asked")
			}
		})
	}
}

// book is what a controller has answered since it was looked at last.
type book struct {
	mu      sync.Mutex
	jobs    map[int64]string // "claimed", "told" or "ended"
	answers int
	kept    int // the last number that an admin set

	tried atomic.Int64 // the last number that an admin tried to set
	cut   atomic.Int64 // requests without an answer
	end   chan struct{}
}

func (b *book) over() bool {
	select {
	case <-b.end:
		return true
	default:
		return false
	}
}

// ask asks until there is an answer.
func (b *book) ask(w *twoCores, path, body string) (text string, ok bool) {
	for !b.over() {
		status, text := w.ask(0, "", http.MethodPost, path, body)
		if status == http.StatusOK {
			return text, true
		}
		if status == 0 && !strings.Contains(text, "refused") {
			b.cut.Add(1)
		}
		pause := time.NewTimer(10 * time.Millisecond)
		<-pause.C
	}
	return "", false
}

func (b *book) note(job int64, what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.jobs[job] = what
	b.answers++
}

// minion works as a minion does, which tells again what was not acknowledged.
func (b *book) minion(w *twoCores, name string) {
	for {
		text, ok := b.ask(w, "/1.0/give-me-job", "version=2&wait=1&pid=1&host="+name)
		if !ok {
			return
		}
		var job struct {
			ID    *int64 `json:"job_id"`
			Fence int64
		}
		if err := json.Unmarshal([]byte(text), &job); err != nil {
			w.Errorf("%v: %s", err, text)
		}
		if job.ID == nil {
			continue
		}
		b.note(*job.ID, "claimed")
		for _, report := range []struct{ what, exit string }{{"told", "no"}, {"ended", "0"}} {
			text, ok := b.ask(w, "/1.0/job-update", fmt.Sprintf(`{"job_id": %d, "fence": %d, "exit": %q, "stdout": %q}`, *job.ID, job.Fence, report.exit, report.what))
			if !ok {
				return
			}
			if strings.Contains(text, `"stale":true`) {
				w.Errorf("job %d was not to be lost: %s", *job.ID, text)
			}
			b.note(*job.ID, report.what)
		}
	}
}

// admin counts, in a limit and in the reason of a hold.
func (b *book) admin(w *twoCores) {
	for n := 1000; ; n++ {
		b.tried.Store(int64(n))
		for _, change := range []struct{ path, body string }{
			{"/1.0/set-max-jobs", fmt.Sprintf("max_jobs=%d", n)},
			{"/1.0/hold", fmt.Sprintf("path=m/r0&reason=%d", n)},
		} {
			if _, ok := b.ask(w, change.path, change.body); !ok {
				return
			}
		}
		b.mu.Lock()
		b.kept, b.answers = n, b.answers+2
		b.mu.Unlock()
	}
}

// check looks for all that was answered and says how much that was.
func (b *book) check(w *twoCores) int {
	w.Helper()
	b.mu.Lock()
	jobs, answers, kept := b.jobs, b.answers, b.kept
	b.jobs, b.answers = map[int64]string{}, 0
	b.mu.Unlock()
	var status struct {
		MaxJobs int `json:"max_jobs"`
	}
	var held struct {
		Reason int `json:"held_reason,string"`
	}
	for path, into := range map[string]any{"/1.0/get-max-jobs": &status, "/1.0/lorry/m/r0": &held} {
		code, text := w.ask(0, "", http.MethodGet, path, "")
		if err := json.Unmarshal([]byte(text), into); err != nil && kept > 0 || code != http.StatusOK {
			w.Errorf("%s: %d %v %s", path, code, err, text)
		}
	}
	for what, got := range map[string]int{"limit": status.MaxJobs, "reason": held.Reason} {
		if got < kept || int64(got) > b.tried.Load() {
			w.Errorf("the %s was set to %d and is %d", what, kept, got)
		}
	}
	ids := make(chan int64)
	var looking sync.WaitGroup
	for range 4 {
		looking.Go(func() {
			for id := range ids {
				b.look(w, id, jobs[id])
			}
		})
	}
	for id := range jobs {
		ids <- id
	}
	close(ids)
	looking.Wait()
	return answers
}

// look compares a job with what was acknowledged last.
func (b *book) look(w *twoCores, id int64, what string) {
	status, text := w.ask(0, "", http.MethodGet, fmt.Sprintf("/1.0/job/%d", id), "")
	var job struct{ Exit, Output string }
	err := json.Unmarshal([]byte(text), &job)
	switch {
	case err != nil || status != http.StatusOK:
		w.Errorf("job %d was %s and is lost: %d %s", id, what, status, text)
	case what != "claimed" && !strings.Contains(job.Output, what), what == "ended" && job.Exit != "0":
		w.Errorf("job %d was %s and is %+v", id, what, job)
	}
}
