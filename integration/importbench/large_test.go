package importbench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// large gives the repositories to measure: those that LORRY_BENCH_LARGE names,
// with ":" between them, or three that are made here.
func large(b *testing.B) []string {
	b.Helper()
	var paths []string
	for path := range strings.SplitSeq(os.Getenv("LORRY_BENCH_LARGE"), ":") {
		if path != "" {
			paths = append(paths, path)
		}
	}
	if paths != nil {
		return paths
	}
	for _, megabytes := range []int{10, 50, 200} {
		path := filepath.Join(b.TempDir(), fmt.Sprintf("made-%dMB", megabytes), "repo")
		r := gittest.Seed(b, path)
		content := make([]byte, 1<<20)
		seed := uint64(megabytes)
		for i := range megabytes {
			for k := range content { // nothing that can be compressed
				seed = seed*6364136223846793005 + 1442695040888963407
				content[k] = byte(seed >> 56)
			}
			r.CommitFile("refs/heads/main", fmt.Sprintf("file%d", i), content)
		}
		r.Branches(10*megabytes, "branch")
		r.Git("repack", "-adq")
		r.Git("pack-refs", "--all")
		paths = append(paths, path)
	}
	return paths
}

// cost is what a run has taken.
type cost struct {
	took, cpu time.Duration
	peak      int64 // the most memory that lorry had itself, in bytes
	git       int64 // the most that the programs below it had for themselves, all at one moment
}

// measured runs a lorry to its end.
func measured(b *testing.B, dir, url, push string) cost {
	b.Helper()
	text := fmt.Sprintf(`{"large": {"type": "git", "url": %q}}`, url)
	if err := os.WriteFile(filepath.Join(dir, "large.lorry"), []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	began, before := time.Now(), children()
	cmd := exec.Command(beside(b, "lorry"), "--no-default-configs", "--working-area", filepath.Join(dir, "work"),
		"--mirror-base-url-push", push, filepath.Join(dir, "large.lorry"))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var c cost
	for {
		select {
		case err := <-done:
			if err != nil {
				b.Fatal(err)
			}
			c.took, c.cpu = time.Since(began), children()-before
			return c
		case <-tick.C:
			c.peak = max(c.peak, peakOf(cmd.Process.Pid))
			c.git = max(c.git, ownMemory(below(cmd.Process.Pid)))
		}
	}
}

// BenchmarkLarge mirrors large repositories for the first time, and again when
// nothing has changed: into a directory, and over HTTP, where the mirror's
// server works on the same processors. lorry-MiB is what lorry itself had at
// most, git-MiB what the programs that it ran had.
func BenchmarkLarge(b *testing.B) {
	for _, path := range large(b) {
		name := filepath.Base(filepath.Dir(path))
		b.Run(name, func(b *testing.B) { mirrorLarge(b, path, false) })
		b.Run(name+"-http", func(b *testing.B) { mirrorLarge(b, path, true) })
	}
}

func mirrorLarge(b *testing.B, path string, overHTTP bool) {
	root, below := b.TempDir(), b.TempDir()
	for name, target := range map[string]string{"large.git": path, "mirror": below} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			b.Fatal(err)
		}
	}
	server := gittest.NewServer(b, root)
	var took, again, plain, ratio, cpuRatio []float64
	var peak, git int64
	for b.Loop() {
		dir := fresh(b, below)
		push := filepath.Join(dir, "down")
		if overHTTP {
			gittest.NewRepo(b, filepath.Join(push, "large")).Git("config", "http.receivepack", "true")
			push = server.URL + "/mirror/round/down"
		}
		first := measured(b, dir, server.URL+"/large.git", push)
		second := measured(b, dir, server.URL+"/large.git", push)
		peak, git = max(peak, first.peak, second.peak), max(git, first.git, second.git)
		dir = fresh(b, below)
		before, target := children(), filepath.Join(dir, "d0")
		if overHTTP {
			gittest.NewRepo(b, target).Git("config", "http.receivepack", "true")
			target = server.URL + "/mirror/round/d0"
		}
		same := cloneAndPushTo(b, dir, careful, 1, 1, func(int) string { return server.URL + "/large.git" }, func(int) string { return target })
		cpuRatio = append(cpuRatio, float64(first.cpu)/float64(children()-before))
		took, again, plain = append(took, first.took.Seconds()), append(again, second.took.Seconds()), append(plain, same.Seconds())
		ratio = append(ratio, first.took.Seconds()/same.Seconds())
	}
	b.ReportMetric(median(took), "s")
	b.ReportMetric(median(again), "again-s")
	b.ReportMetric(median(plain), "git-careful-s")
	b.ReportMetric(median(ratio), "ratio")
	b.ReportMetric(median(cpuRatio), "cpu-ratio")
	b.ReportMetric(float64(peak>>20), "lorry-MiB")
	b.ReportMetric(float64(git>>20), "git-MiB")
	b.ReportMetric(0, "ns/op")
}
