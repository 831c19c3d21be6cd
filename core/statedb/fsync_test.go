package statedb_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/tool"
)

// tracer finds strace, or skips the test, or fails it when it is required.
func tracer(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("strace")
	if err == nil {
		err = exec.CommandContext(t.Context(), path, "-o", os.DevNull, "true").Run()
	}
	if err != nil {
		tool.Missing(t, "strace can't be used: "+err.Error(), "all", "strace")
	}
	return path
}

// The disk refuses a flush in the middle of the work, and all that follow: what
// was acknowledged is there, what failed was not acknowledged, and the file is
// whole.
func TestAFailedFlushIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	strace := tracer(t)
	rounds := soak(2, 30)
	acknowledged := 0
	for round := range rounds {
		url := filepath.Join(t.TempDir(), "state.db")
		w := statedbtest.NewWorld(t, url)
		var lorries []core.Lorry
		for _, p := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
			l := statedbtest.NewLorry(p)
			l.Interval = 0
			lorries = append(lorries, l)
		}
		if err := w.DB.PutLorries(w.Ctx, lorries); err != nil {
			t.Fatal(err)
		}
		if err := w.DB.Close(); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), strace, "-f", "-qq", "-e", "trace=fsync,fdatasync", "-o", os.DevNull,
			"-e", "inject=fsync,fdatasync:error=EIO:when="+strconv.Itoa(20+7*round)+"+", os.Args[0])
		cmd.Env = append(os.Environ(), crashHelper+"="+url, crashHow+"=work")
		var complaint strings.Builder
		cmd.Stderr = &complaint
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		said, err := io.ReadAll(out)
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil {
			t.Error("the process ended well")
		}
		if !strings.Contains(complaint.String(), "state database:") || !strings.Contains(complaint.String(), "I/O") {
			t.Errorf("it ended for another reason: %s", complaint.String())
		}
		ledger := map[core.JobID]string{}
		for line := range strings.Lines(string(said)) {
			what, number, _ := strings.Cut(strings.TrimSpace(line), " ")
			id, err := strconv.ParseInt(number, 10, 64)
			if err != nil {
				t.Errorf("it said %q", line)
			}
			ledger[core.JobID(id)] = what
			acknowledged++
		}
		checkWhole(t, url, ledger)
	}
	t.Logf("%d rounds: %d answers were acknowledged before the error, and none was lost", rounds, acknowledged)
}

// checkWhole compares what was acknowledged with what is there, and checks the
// file.
func checkWhole(t *testing.T, url string, ledger map[core.JobID]string) {
	t.Helper()
	w := statedbtest.NewWorld(t, url)
	for id, what := range ledger {
		j, err := w.Queue.Job(w.Ctx, id)
		if err != nil || (what == "ended" && j.Exit != "0") {
			t.Errorf("job %d was acknowledged as %s and is %+v: %v", id, what, j, err)
		}
	}
	if len(ledger) == 0 {
		t.Error("nothing was acknowledged before the error")
	}
	found, err := statedb.Texts(w.Ctx, w.DB, `PRAGMA integrity_check`)
	if err != nil || !slices.Equal(found, []string{"ok"}) {
		t.Errorf("the file: %v %v", found, err)
	}
}
