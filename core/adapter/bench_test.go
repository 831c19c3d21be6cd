package adapter_test

import (
	"bufio"
	"context"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/adapter"
	"github.com/lorry-controller/lorry-controller/sdk/host"
)

// heap gives the bytes that are in use after a collection.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc) //nolint:gosec // far below the limit
}

// TestListingIsNotKeptInMemory is not parallel, because it measures the memory
// of the whole test program.
func TestListingIsNotKeptInMemory(t *testing.T) {
	used := map[int]int64{}
	for _, n := range []int{1_000, 50_000} {
		m := newManager(t, impatient(), hostile("h", "many:"+strconv.Itoa(n), t.TempDir()))
		up, count := upstreamOf(t, m, "h"), 0
		if _, _, err := up.Repo(t.Context(), "a"); err != nil { // it runs
			t.Fatal(err)
		}
		before, begin := heap(), time.Now()
		for _, err := range up.Repos(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if count++; count == n {
				used[n] = heap() - before
			}
		}
		t.Logf("%d repositories: %v, %d KiB more in use at the end", count, time.Since(begin).Round(time.Millisecond), used[n]/1024)
	}
	// What grows is one number for each path, to find those that come twice.
	if most := int64(50_000 * 48); used[50_000]-used[1_000] > most {
		t.Errorf("50,000 repositories take %d bytes more than 1,000, want less than %d", used[50_000]-used[1_000], most)
	}
}

// calls makes b.N calls and reports the median beside the mean.
func calls(b *testing.B, call func() error) {
	b.Helper()
	if err := call(); err != nil {
		b.Fatal(err)
	}
	times := make([]time.Duration, 0, 1024)
	for b.Loop() {
		begin := time.Now()
		if err := call(); err != nil {
			b.Fatal(err)
		}
		times = append(times, time.Since(begin))
	}
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(time.Second)/float64(b.Elapsed())*float64(b.N), "calls/s")
}

// BenchmarkCall is a call as the daemon makes it: turn, TLS, process, checks.
func BenchmarkCall(b *testing.B) {
	opts := impatient()
	opts.Dir = bin
	m := adapter.NewManager(opts)
	defer func() { _ = m.Close(context.Background()) }()
	if err := m.Apply(b.Context(), []adapter.Instance{{Name: "h", Type: "hostile", Secrets: map[string]core.Secret{}}}); err != nil {
		b.Fatal(err)
	}
	up, err := m.Upstream("h")
	if err != nil {
		b.Fatal(err)
	}
	calls(b, func() error {
		_, _, err := up.Repo(b.Context(), "a")
		return err
	})
}

// BenchmarkBareCall is the floor: the same call to the same program over gRPC
// alone, without TLS, turns and checks.
func BenchmarkBareCall(b *testing.B) {
	cmd := exec.Command(filepath.Join(bin, "lorry-adapter-hostile"), "-debug")
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	_, value, _ := strings.Cut(strings.TrimSpace(line), "=")
	addresses, err := adapter.ParseReattach(strings.Trim(value, "'"))
	if err != nil {
		b.Fatal(err)
	}
	p, err := host.Attach(addresses["hostile"])
	if err != nil {
		b.Fatal(err)
	}
	defer p.Kill(0)
	if _, err := p.Configure(b.Context(), host.Settings{Instance: "h"}); err != nil {
		b.Fatal(err)
	}
	calls(b, func() error {
		_, _, err := p.Repo(b.Context(), "a")
		return err
	})
}
