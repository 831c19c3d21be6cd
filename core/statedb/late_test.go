package statedb_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

// lateMinion claims whenever it is asked on its standard input, and ends the job
// when it is asked again.
func lateMinion(ctx context.Context, db *statedb.DB) error {
	q := queue.New(queue.Options{Store: db})
	asked := bufio.NewScanner(os.Stdin)
	for asked.Scan() {
		got, err := q.Claim(ctx, queue.ClaimParams{Minion: "late"})
		if err != nil || len(got) != 1 {
			return fmt.Errorf("claimed %d: %w", len(got), err)
		}
		fmt.Fprintln(os.Stdout, int64(got[0].Job.ID))
		if !asked.Scan() {
			break
		}
		rs, err := q.Update(ctx, []queue.UpdateParams{{Job: got[0].Job.ID, Fence: got[0].Job.Fence, Output: "late", Done: true, Exit: "0", Digest: "late"}})
		if err != nil {
			return err
		}
		fmt.Fprintln(os.Stdout, rs[0].Stale)
	}
	return asked.Err()
}

// leader tries to lead, and says in which term it did and does no more.
func leader(ctx context.Context, db *statedb.DB) error {
	name := strconv.Itoa(os.Getpid())
	for {
		// The lease is counted from before the question: its holder must not
		// trust it any longer.
		asked := time.Now()
		term, ok, err := db.TryLead(ctx, name, leadTTL)
		if err != nil {
			return err
		}
		if ok {
			fmt.Fprintln(os.Stdout, term, time.Now().UnixMicro(), asked.Add(leadTTL).UnixMicro())
		}
		timer := time.NewTimer(leadTTL / 10)
		<-timer.C
	}
}

const leadTTL = 300 * time.Millisecond

// helper starts this test binary to do something to a database.
func helper(t *testing.T, url, how string) (*exec.Cmd, io.Writer, *bufio.Reader) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), crashHelper+"="+url, crashHow+"="+how)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	})
	return cmd, in, bufio.NewReader(out)
}

func signal(t *testing.T, cmd *exec.Cmd, sig syscall.Signal) {
	t.Helper()
	if err := cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

func readLine(t *testing.T, from *bufio.Reader) string {
	t.Helper()
	line, err := from.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(line, "\n")
}

// A minion's process is stopped until its lease is over, another takes the
// Lorry, and the first goes on as if nothing had been.
func TestALateMinionChangesNothing(t *testing.T) {
	t.Parallel()
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			url := d.url(t)
			db, err := statedb.Open(t.Context(), statedb.Options{URL: url})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			l := statedbtest.NewLorry("a")
			l.Interval = 0
			if err := db.PutLorries(t.Context(), []core.Lorry{l}); err != nil {
				t.Fatal(err)
			}
			minion, ask, answers := helper(t, url, "late")
			// A clock that runs ahead ends the lease at once.
			ahead := queue.New(queue.Options{Store: db, Clock: func() time.Time { return time.Now().Add(time.Hour) }})
			accepted := 0
			rounds := soak(3, 100)
			for range rounds {
				fmt.Fprintln(ask)
				id := readLine(t, answers)
				signal(t, minion, syscall.SIGSTOP)
				buried, err := ahead.BuryGhosts(t.Context())
				if err != nil || len(buried) != 1 || fmt.Sprint(buried[0].ID) != id {
					t.Fatalf("buried %v instead of job %s: %v", buried, id, err)
				}
				got, err := ahead.Claim(t.Context(), queue.ClaimParams{Minion: "other"})
				if err != nil || len(got) != 1 {
					t.Fatalf("the other one claimed %v: %v", got, err)
				}
				signal(t, minion, syscall.SIGCONT)
				fmt.Fprintln(ask)
				if readLine(t, answers) != "true" {
					accepted++
				}
				rs, err := ahead.Update(t.Context(), []queue.UpdateParams{{Job: got[0].Job.ID, Fence: got[0].Job.Fence, Done: true, Exit: "0", Digest: "other"}})
				if err != nil || rs[0].Stale {
					t.Fatalf("the other one's end was refused: %v %v", rs, err)
				}
				if state, err := ahead.Lorry(t.Context(), "a"); err != nil || state.Digest != "other" {
					t.Fatalf("the Lorry's digest is %q: %v", state.Digest, err)
				}
				if err := db.Write(t.Context(), func(ctx context.Context, tx queue.Tx) error {
					return tx.Retry(ctx, "a", time.Now().Add(-time.Minute))
				}); err != nil {
					t.Fatal(err)
				}
			}
			t.Logf("%d rounds, stale completions accepted: %d", rounds, accepted)
			if accepted > 0 {
				t.Error("a late minion changed something")
			}
		})
	}
}

// Three cores; the one that leads is stopped or killed again and again. No two
// leases of different terms overlap.
func TestOneCoreLeadsAtATimeWhoeverIsKilled(t *testing.T) {
	t.Parallel()
	url := postgres(t)
	said := make(chan lead)
	cores := map[int]*exec.Cmd{}
	start := func() {
		cmd, _, out := helper(t, url, "lead")
		cores[cmd.Process.Pid] = cmd
		go func() {
			for {
				line, err := out.ReadString('\n')
				if err != nil {
					return
				}
				l := lead{pid: cmd.Process.Pid}
				if _, err := fmt.Sscan(line, &l.term, &l.at, &l.until); err != nil {
					continue
				}
				select {
				case said <- l:
				case <-t.Context().Done():
					return
				}
			}
		}()
	}
	for range 3 {
		start()
	}
	rounds := soak(4, 100)
	var longest time.Duration
	overlaps := 0
	last, stopped := <-said, 0
	for round := range rounds {
		leads := cores[last.pid]
		if round%2 == 0 {
			signal(t, leads, syscall.SIGKILL)
			delete(cores, last.pid)
			start()
		} else {
			signal(t, leads, syscall.SIGSTOP)
			stopped = last.pid
		}
		next := last
		for next.term == last.term {
			last = next
			next = <-said
		}
		if next.at < last.until && next.pid != last.pid {
			overlaps++
			t.Errorf("term %d began %d µs before the end of term %d", next.term, last.until-next.at, last.term)
		}
		longest = max(longest, time.Duration(next.at-last.at)*time.Microsecond)
		last = next
		if stopped != 0 {
			signal(t, cores[stopped], syscall.SIGCONT)
			stopped = 0
		}
	}
	t.Logf("%d leaders killed or stopped: overlaps %d, longest time without a renewal %s of a lease of %s", rounds, overlaps, longest, leadTTL)
}

// lead is what a core said when it led: its lease was renewed at, until then;
// microseconds.
type lead struct {
	pid             int
	term, at, until int64
}
