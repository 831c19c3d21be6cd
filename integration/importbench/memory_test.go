package importbench

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// below gives every process below one.
func below(pid int) []int {
	var all []int
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		text, _ := os.ReadFile(task) // it may have ended
		for word := range strings.FieldsSeq(string(text)) {
			if child, err := strconv.Atoi(word); err == nil {
				all = append(append(all, child), below(child)...)
			}
		}
	}
	return all
}

// ownMemory is what processes have for themselves, in bytes: without the files
// that they have mapped, such as packs.
func ownMemory(pids []int) int64 {
	var sum int64
	for _, pid := range pids {
		status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid)) // it may have ended
		if _, rest, ok := strings.Cut(string(status), "RssAnon:"); ok {
			kib, _ := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			sum += kib << 10
		}
	}
	return sum
}

// BenchmarkMemory mirrors one repository through a controller and a minion as
// they are installed, and says what the minion had at most itself, and what the
// lorry and the git below it had.
func BenchmarkMemory(b *testing.B) {
	small := filepath.Join(b.TempDir(), "small", "repo")
	gittest.Seed(b, small)
	for _, path := range append([]string{small}, large(b)...) {
		b.Run(filepath.Base(filepath.Dir(path)), func(b *testing.B) {
			var minionPeak, lorryPeak, git int64
			for b.Loop() {
				dir := b.TempDir()
				if err := os.MkdirAll(filepath.Join(dir, "up"), 0o755); err != nil {
					b.Fatal(err)
				}
				if err := os.Symlink(path, filepath.Join(dir, "up", "0.git")); err != nil {
					b.Fatal(err)
				}
				server := gittest.NewServer(b, filepath.Join(dir, "up"))
				p := controller(b, dir, 1, server.URL)
				p.minion = start(b, filepath.Join(dir, "minion.log"), beside(b, "lorry-minion"), "--controller", p.url, "--name", "bench",
					"--lorry-working-area", filepath.Join(dir, "area"))
				tick := time.NewTicker(20 * time.Millisecond)
				for p.figure("lorry_jobs_total") < 1 {
					<-tick.C
					minionPeak = max(minionPeak, peakOf(p.minion.Process.Pid))
					all := below(p.minion.Process.Pid)
					if len(all) == 0 {
						continue
					}
					lorryPeak, git = max(lorryPeak, peakOf(all[0])), max(git, ownMemory(all[1:]))
				}
				tick.Stop()
				if p.figure("lorry_jobs_total", `"ok"`) < 1 {
					b.Error("the job failed")
				}
				end(p.minion)
				end(p.core)
			}
			b.ReportMetric(float64(minionPeak>>20), "minion-MiB")
			b.ReportMetric(float64(lorryPeak>>20), "lorry-MiB")
			b.ReportMetric(float64(git>>20), "git-MiB")
			b.ReportMetric(0, "ns/op")
		})
	}
}
