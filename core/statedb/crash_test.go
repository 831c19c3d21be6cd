package statedb_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

// crashHelper names the database in the environment of a test binary that is
// to be killed in the middle of a transaction.
const crashHelper = "LORRY_TEST_CRASH_STATEDB"

// crash commits one change, begins another, says so and waits to be killed.
func crash(url string) error {
	ctx := context.Background()
	db, err := statedb.Open(ctx, statedb.Options{URL: url})
	if err != nil {
		return err
	}
	seven, nine := 7, 9
	set := func(limit *int) error {
		return db.Write(ctx, func(ctx context.Context, tx queue.Tx) error { return tx.SetMaxJobs(ctx, limit) })
	}
	if err := set(&seven); err != nil {
		return err
	}
	return db.Write(ctx, func(ctx context.Context, tx queue.Tx) error {
		if err := tx.SetMaxJobs(ctx, &nine); err != nil {
			return err
		}
		if err := tx.SetRunning(ctx, false); err != nil {
			return err
		}
		fmt.Println("in transaction")
		select {}
	})
}

func TestAKilledCoreLosesNothingThatItAcknowledged(t *testing.T) {
	t.Parallel()
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			url := d.url(t)
			helper := exec.CommandContext(t.Context(), os.Args[0])
			helper.Env = append(os.Environ(), crashHelper+"="+url)
			out, err := helper.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := helper.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(out).ReadString('\n')
			if err != nil || line != "in transaction\n" {
				t.Errorf("the helper said %q: %v", line, err)
			}
			if err := helper.Process.Kill(); err != nil {
				t.Error(err)
			}
			if err := helper.Wait(); err == nil {
				t.Error("the helper ended by itself")
			}
			w := statedbtest.NewWorld(t, url)
			status, err := w.Queue.Status(w.Ctx)
			if err != nil {
				t.Fatal(err)
			}
			seven := 7
			if diff := cmp.Diff(queue.Status{Running: true, MaxJobs: &seven}, status); diff != "" {
				t.Errorf("after the crash (-want +got):\n%s", diff)
			}
		})
	}
}
