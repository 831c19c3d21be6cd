package importbench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// programs is a controller and a minion as they are installed, each a process
// of its own, with SQLite that syncs each commit and a local Downstream Host.
type programs struct {
	url              string
	core, minion     *exec.Cmd
	coreLog, dataDir string
}

// beside gives the path of another program where lorry is.
func beside(b *testing.B, name string) string {
	b.Helper()
	lorry := os.Getenv("LORRY_BENCH_PROGRAM")
	if lorry == "" {
		b.Skip("LORRY_BENCH_PROGRAM names no lorry; use make bench-import")
	}
	return filepath.Join(filepath.Dir(lorry), name)
}

// start starts a program that writes into a file.
func start(b *testing.B, log, program string, args ...string) *exec.Cmd {
	b.Helper()
	f, err := os.Create(log)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	cmd := exec.Command(program, args...)
	cmd.Env = []string{"PATH=" + filepath.Dir(program) + ":" + os.Getenv("PATH"), "HOME=" + filepath.Dir(log)}
	cmd.Stdout, cmd.Stderr = f, f
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { end(cmd) })
	return cmd
}

// end stops a program, which may have ended already.
func end(cmd *exec.Cmd) {
	if cmd.ProcessState == nil {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	}
}

// until asks again until it is answered yes.
func until(b *testing.B, what string, yes func() bool) {
	b.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for !yes() {
		if time.Now().After(deadline) {
			b.Fatalf("never seen: %s", what)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// controller starts a controller with n Lorries that are always due.
func controller(b *testing.B, dir string, n int, upstream string) *programs {
	b.Helper()
	lorries := map[string]any{}
	for i := range n {
		lorries[fmt.Sprintf("some/%05d", i)] = map[string]string{"type": "git", "url": fmt.Sprintf("%s/%d.git", upstream, i)}
	}
	config := filepath.Join(dir, "config")
	for name, what := range map[string]any{
		"all.lorry":             lorries,
		"lorry-controller.conf": []any{map[string]any{"type": "lorries", "prefix": "bench", "interval": "0", "lorry-timeout": 3600, "globs": []string{"all.lorry"}}},
	} {
		text, err := json.Marshal(what)
		if err == nil {
			err = os.MkdirAll(config, 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(config, name), text, 0o644)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	p := &programs{url: "http://" + address, coreLog: filepath.Join(dir, "core.log"), dataDir: filepath.Join(dir, "data")}
	p.core = start(b, p.coreLog, beside(b, "lorry-controller"), "--data", p.dataDir, "--listen", address, "--configuration-directory", config,
		"--downstream-host-type", "local", "--local-base-directory", filepath.Join(dir, "mirrors"), "--ls-troves-interval", "0")
	until(b, "a controller with its Lorries", func() bool { return p.figure(`lorry_lorries`) >= float64(n) })
	return p
}

var figures = regexp.MustCompile(`(?m)^([a-z_]+)(\{[^}]*\})? ([-+.e0-9]+)$`)

// figure sums one of the controller's figures; -1 when there is none.
func (p *programs) figure(name string, labels ...string) float64 {
	resp, err := http.Get(p.url + "/metrics")
	if err != nil {
		return -1
	}
	defer func() { _ = resp.Body.Close() }()
	var text bytes.Buffer
	if _, err := text.ReadFrom(resp.Body); err != nil {
		return -1
	}
	sum, seen := 0.0, false
	for _, m := range figures.FindAllStringSubmatch(text.String(), -1) {
		if m[1] != name || len(labels) > 0 && !strings.Contains(m[2], labels[0]) {
			continue
		}
		if v, err := strconv.ParseFloat(m[3], 64); err == nil {
			sum, seen = sum+v, true
		}
	}
	if !seen {
		return -1
	}
	return sum
}

// firstPass ends one job of each Lorry as if it had mirrored what upstream has.
func (p *programs) firstPass(b *testing.B, n int, digest string) {
	b.Helper()
	client := &protocol.Client{Base: p.url, HTTP: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}}
	var mu sync.Mutex
	seen := map[string]bool{}
	left := func() int {
		mu.Lock()
		defer mu.Unlock()
		return n - len(seen)
	}
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for left() > 0 {
				answer, err := client.GiveMeJob(b.Context(), protocol.GiveMeJob{Host: "first", Max: 8, Wait: 1})
				if err != nil {
					b.Error(err)
					return
				}
				var done []protocol.Update
				for _, j := range answer.All() {
					done = append(done, protocol.Update{JobID: *j.JobID, Fence: j.Fence, Exit: "0", Digest: digest, Head: "refs/heads/main"})
					mu.Lock()
					seen[j.Path] = true
					mu.Unlock()
				}
				if len(done) == 0 {
					continue
				}
				if _, err := client.Update(b.Context(), done); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	client.HTTP.CloseIdleConnections()
}

// used is the time of the processors that a process has taken, and the most
// memory that it had, in bytes.
func used(b *testing.B, cmd *exec.Cmd) (cpu time.Duration, peak int64) {
	b.Helper()
	dir := fmt.Sprintf("/proc/%d/", cmd.Process.Pid)
	stat, err := os.ReadFile(dir + "stat")
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	words := strings.Fields(rest)
	for _, word := range words[11:13] { // utime and stime, in hundredths of a second
		ticks, err := strconv.ParseInt(word, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		cpu += time.Duration(ticks) * 10 * time.Millisecond
	}
	return cpu, peakOf(cmd.Process.Pid)
}

// peakOf is the most memory that one process has had, in bytes; 0 when it has
// ended.
func peakOf(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, ok := strings.Cut(string(status), "VmHWM:")
	if !ok {
		return 0
	}
	kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	return kib << 10
}

// BenchmarkUnchangedPrograms runs the same jobs as BenchmarkUnchanged through
// lorry-controller and lorry-minion as they are installed. The upstream is in
// this process.
func BenchmarkUnchangedPrograms(b *testing.B) {
	n := number("LORRY_BENCH_LORRIES", 4000)
	length := time.Duration(number("LORRY_BENCH_SECONDS", 8)) * time.Second
	dir := b.TempDir()
	minion := beside(b, "lorry-minion")
	gittest.Seed(b, filepath.Join(dir, "up", "thing.git"))
	server := gittest.NewServer(b, filepath.Join(dir, "up"))
	upstream := httptest.NewServer(record(b, server, "/thing.git"))
	defer upstream.Close()
	known := digest(b, dir, server.URL+"/thing.git")
	p := controller(b, dir, n, upstream.URL)
	p.firstPass(b, n, known)
	ended := func() float64 { return max(p.figure("lorry_jobs_total"), 0) }
	unchanged := func() float64 { return max(p.figure("lorry_jobs_total", `unchanged`), 0) }
	p.minion = start(b, filepath.Join(dir, "minion.log"), minion, "--controller", p.url, "--name", "bench",
		"--jobs", strconv.Itoa(number("LORRY_BENCH_JOBS", 8)), "--lorry-working-area", filepath.Join(dir, "area"))
	until(b, "the minion at work", func() bool { return unchanged() > float64(n)/2 })
	var rates, coreCPU, minionCPU []float64
	var corePeak, minionPeak int64
	for b.Loop() {
		coreBefore, _ := used(b, p.core)
		minionBefore, _ := used(b, p.minion)
		began, before, all := time.Now(), unchanged(), ended()
		ctx, cancel := context.WithTimeout(b.Context(), length)
		<-ctx.Done()
		cancel()
		did, others := unchanged()-before, ended()-all
		took := time.Since(began)
		coreAfter, c := used(b, p.core)
		minionAfter, m := used(b, p.minion)
		corePeak, minionPeak = max(corePeak, c), max(minionPeak, m)
		if others > did*1.01 {
			b.Errorf("%.0f jobs ended, %.0f of them found nothing new", others, did)
		}
		rates = append(rates, did/took.Seconds())
		coreCPU = append(coreCPU, float64((coreAfter-coreBefore).Microseconds())/did)
		minionCPU = append(minionCPU, float64((minionAfter-minionBefore).Microseconds())/did)
	}
	end(p.minion)
	var floors, floorCPU []float64
	for range b.N {
		took, cpu := floor(b, upstream.URL, n)
		floors = append(floors, float64(n)/took.Seconds())
		floorCPU = append(floorCPU, float64(cpu.Microseconds())/float64(n))
	}
	b.ReportMetric(median(rates), "lorries/s")
	b.ReportMetric(median(floors), "floor/s")
	b.ReportMetric(median(coreCPU), "core-cpu-us/lorry")
	b.ReportMetric(median(minionCPU), "minion-cpu-us/lorry")
	b.ReportMetric(median(floorCPU), "floor-cpu-us/lorry")
	b.ReportMetric(float64(corePeak>>20), "core-MiB")
	b.ReportMetric(float64(minionPeak>>20), "minion-MiB")
	b.ReportMetric(0, "ns/op")
}
