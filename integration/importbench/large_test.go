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

// measured runs a lorry to its end, and gives what it took and the most memory
// that it had itself, without git, in bytes.
func measured(b *testing.B, dir, url string) (took time.Duration, peak int64) {
	b.Helper()
	text := fmt.Sprintf(`{"large": {"type": "git", "url": %q}}`, url)
	if err := os.WriteFile(filepath.Join(dir, "large.lorry"), []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	cmd := exec.Command(beside(b, "lorry"), "--no-default-configs", "--working-area", filepath.Join(dir, "work"),
		"--mirror-base-url-push", filepath.Join(dir, "down"), filepath.Join(dir, "large.lorry"))
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-done:
			if err != nil {
				b.Fatal(err)
			}
			return time.Since(began), peak
		case <-tick.C:
			peak = max(peak, peakOf(cmd.Process.Pid))
		}
	}
}

// BenchmarkLarge mirrors large repositories for the first time, and again when
// nothing has changed. lorry-MiB is what lorry itself had at most, without git.
func BenchmarkLarge(b *testing.B) {
	for _, path := range large(b) {
		b.Run(filepath.Base(filepath.Dir(path)), func(b *testing.B) {
			root, below := b.TempDir(), b.TempDir()
			if err := os.Symlink(path, filepath.Join(root, "large.git")); err != nil {
				b.Fatal(err)
			}
			server := gittest.NewServer(b, root)
			url := func(int) string { return server.URL + "/large.git" }
			var took, again, plain, ratio []float64
			var peak int64
			for b.Loop() {
				dir := fresh(b, below)
				first, p := measured(b, dir, url(0))
				second, q := measured(b, dir, url(0))
				peak = max(peak, p, q)
				same := cloneAndPush(b, fresh(b, below), careful, 1, 1, url)
				took, again, plain = append(took, first.Seconds()), append(again, second.Seconds()), append(plain, same.Seconds())
				ratio = append(ratio, first.Seconds()/same.Seconds())
			}
			b.ReportMetric(median(took), "s")
			b.ReportMetric(median(again), "again-s")
			b.ReportMetric(median(plain), "git-careful-s")
			b.ReportMetric(median(ratio), "ratio")
			b.ReportMetric(float64(peak>>20), "lorry-MiB")
			b.ReportMetric(0, "ns/op")
		})
	}
}
