package integration

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/lorry-controller/lorry-controller/integration/pgtest"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/tool"
)

// TestAFullDiskUnderTheDatabase fills the file system that STATEDB is on, to the
// last byte, while minions ask for jobs and end them. What can't be stored is not
// acknowledged and says why; the core goes on by itself when there is room, and
// has lost nothing that it has acknowledged.
func TestAFullDiskUnderTheDatabase(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		tool.Missing(t, "mounting a small file system needs root", "all")
	}
	for database, size := range map[string]string{"SQLite": "24m", "PostgreSQL": "24m", "the log of PostgreSQL": "24m"} {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			disk, err := os.MkdirTemp("", "lorry-disk-") //nolint:usetesting // a test's own directory is closed to the server
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(disk) })
			if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "mode=755,size="+size); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
			tables := filepath.Join(disk, "tables")
			if err := os.Mkdir(tables, 0o755); err != nil {
				t.Fatal(err)
			}
			url, revive := filepath.Join(tables, "state.db"), func() {}
			switch database {
			case "PostgreSQL":
				url = pgtest.New(t).OnDisk(t, tables)
			case "the log of PostgreSQL":
				servers := pgtest.NewWAL(t, tables)
				url, revive = servers.URL(t), func() { servers.Revive(t) }
			}
			fillDisk(t, url, filepath.Join(disk, "fill"), revive)
		})
	}
}

// fillDisk fills the disk twice. revive starts a database again that has ended for
// want of room.
func fillDisk(t *testing.T, url, fill string, revive func()) {
	t.Helper()
	w := &twoCores{T: t, dir: t.TempDir(), client: &http.Client{}}
	t.Cleanup(w.client.CloseIdleConnections)
	w.env = append(os.Environ(), "LORRY_STATEDB="+url, "LORRY_MIN_FREE=0")
	w.alwaysDue(50)
	w.startCore(0)
	l := &ledger{jobs: map[int64]bool{}, end: make(chan struct{}), output: noise(20_000)}
	var working sync.WaitGroup
	for i := range 3 {
		working.Go(func() { l.work(w, fmt.Sprintf("box%d", i)) })
	}
	for range 2 {
		w.await(func() bool { return l.count.Load() >= 20 })
		fillUp(t, fill)
		l.refused.Store("")
		w.await(func() bool { // what can't be stored is refused, with the reason
			text, _ := l.refused.Load().(string)
			return strings.Contains(text, "full") || strings.Contains(text, "No space left") || strings.Contains(text, "PostgreSQL")
		})
		t.Logf("refused: %s", l.refused.Load())
		if status, text := w.ask(0, "", http.MethodGet, "/1.0/list-running-jobs", ""); status != http.StatusOK && (status != http.StatusServiceUnavailable || !strings.Contains(text, "PostgreSQL")) {
			t.Errorf("running jobs: %d %s", status, text)
		}
		if err := os.Remove(fill); err != nil {
			t.Fatal(err)
		}
		revive()
		l.count.Store(0)
	}
	w.await(func() bool { return l.count.Load() >= 20 })
	close(l.end)
	working.Wait()
	for id := range l.jobs {
		w.want(0, "", http.MethodGet, fmt.Sprintf("/1.0/job/%d", id), "", http.StatusOK, `"exit":"0"`)
	}
	t.Logf("%d ends of jobs acknowledged, all of them there", len(l.jobs))
}

// noise is text that can't be made shorter.
func noise(n int) string {
	b := make([]byte, n/2)
	for i := range b {
		b[i] = byte(rand.Uint32())
	}
	return hex.EncodeToString(b)
}

// fillUp writes a file until there is no room for another byte.
func fillUp(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err = f.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
}
