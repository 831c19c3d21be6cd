package importbench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// careful is what lorry makes git do: sync what is written, check what comes,
// keep packs as they are.
var careful = []string{
	"core.fsync=objects,derived-metadata,reference", "core.fsyncMethod=fsync", "transfer.fsckObjects=true", "transfer.unpackLimit=1",
	"fetch.fsck.zeroPaddedFilemode=warn", "fetch.fsck.badTimezone=warn", "fetch.fsck.missingSpaceBeforeDate=warn",
	"fetch.unpackLimit=1", "init.templateDir=", "gc.auto=0", "pack.threads=2",
}

// carefulBelow is what reaches the programs that git push starts for a
// repository on this machine: they read no settings but those in files.
const carefulBelow = `[core]
	fsync = objects,derived-metadata,reference
	fsyncMethod = fsync
[gc]
	auto = 0
[receive]
	autogc = false
	unpackLimit = 1
	updateServerInfo = false
`

// gitEnv is the environment of git with some settings; dir keeps the file with
// those of its children.
func gitEnv(b *testing.B, dir string, settings []string) []string {
	b.Helper()
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", fmt.Sprintf("GIT_CONFIG_COUNT=%d", len(settings)+1),
		fmt.Sprintf("GIT_CONFIG_KEY_%d=safe.directory", len(settings)), fmt.Sprintf("GIT_CONFIG_VALUE_%d=*", len(settings)),
	}
	for i, s := range settings {
		key, value, _ := strings.Cut(s, "=")
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i, key), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i, value))
	}
	if len(settings) > 0 {
		file := filepath.Join(dir, "gitconfig")
		if err := os.WriteFile(file, []byte(carefulBelow), 0o600); err != nil {
			b.Fatal(err)
		}
		env = append(env, "GIT_CONFIG_GLOBAL="+file)
	}
	return env
}

// children is what ended children of this process have used of the processors.
func children() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_CHILDREN, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// inParallel does n things, so many at a time, and gives how long it took.
func inParallel(b *testing.B, n, atOnce int, do func(i int) error) time.Duration {
	b.Helper()
	start := time.Now()
	var next atomic.Int64
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				if err := do(int(i)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	return time.Since(start)
}

func run(env []string, dir, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Env, cmd.Dir = env, dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %v: %w: %s", name, args, err, out)
	}
	return nil
}

// upstreams makes n small repositories like the first, served over HTTP.
func upstreams(b *testing.B, dir string, n int) (url func(i int) string) {
	b.Helper()
	first := gittest.Seed(b, filepath.Join(dir, "up", "r0.git"))
	for i := range 18 {
		first.Commit("refs/heads/main", fmt.Sprintf("commit %d", i))
	}
	first.Git("repack", "-adq")
	first.Git("pack-refs", "--all")
	for i := 1; i < n; i++ {
		if err := os.CopyFS(filepath.Join(dir, "up", fmt.Sprintf("r%d.git", i)), os.DirFS(first.Dir)); err != nil {
			b.Fatal(err)
		}
	}
	server := gittest.NewServer(b, filepath.Join(dir, "up"))
	return func(i int) string { return fmt.Sprintf("%s/r%d.git", server.URL, i) }
}

// cloneAndPush is what a user could run instead.
func cloneAndPush(b *testing.B, dir string, settings []string, n, atOnce int, url func(i int) string) time.Duration {
	b.Helper()
	return cloneAndPushTo(b, dir, settings, n, atOnce, url, func(i int) string { return filepath.Join(dir, fmt.Sprintf("d%d", i)) })
}

// cloneAndPushTo is that with mirrors anywhere; those on this machine are made.
func cloneAndPushTo(b *testing.B, dir string, settings []string, n, atOnce int, url, mirror func(i int) string) time.Duration {
	b.Helper()
	env := gitEnv(b, dir, settings)
	return inParallel(b, n, atOnce, func(i int) error {
		work, down := filepath.Join(dir, fmt.Sprintf("w%d", i)), mirror(i)
		calls := [][]string{{"clone", "-q", "--bare", "--", url(i), work}}
		if filepath.IsAbs(down) {
			calls = append(calls, []string{"init", "-q", "--bare", "--", down})
		}
		for _, args := range append(calls, []string{"--git-dir=" + work, "push", "-q", "--", down, "refs/heads/*", "refs/tags/*"}) {
			if err := run(env, dir, "git", args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// lorries imports each with a process of its own, as a minion does.
func lorries(b *testing.B, dir string, n, atOnce int, url func(i int) string) time.Duration {
	b.Helper()
	program := os.Getenv("LORRY_BENCH_PROGRAM")
	if program == "" {
		b.Skip("LORRY_BENCH_PROGRAM names no lorry; use make bench-import")
	}
	for i := range n {
		text := fmt.Sprintf(`{"r%d": {"type": "git", "url": %q}}`, i, url(i))
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("r%d.lorry", i)), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	return inParallel(b, n, atOnce, func(i int) error {
		return run(env, dir, program, "--no-default-configs", "--working-area", filepath.Join(dir, "work"),
			"--mirror-base-url-push", filepath.Join(dir, "down"), fmt.Sprintf("r%d.lorry", i))
	})
}

// BenchmarkFirstPass mirrors small repositories for the first time. ratio is
// lorry's time by that of git clone --bare and git push with the same care,
// both 4 at a time; the plain loop takes one after the other with no care.
func BenchmarkFirstPass(b *testing.B) {
	for _, n := range []int{number("LORRY_BENCH_SMALL", 200), number("LORRY_BENCH_MANY", 2000)} {
		if n == 0 {
			continue
		}
		b.Run(fmt.Sprintf("repositories=%d", n), func(b *testing.B) {
			url, dir := upstreams(b, b.TempDir(), n), b.TempDir()
			var oursRate, sameRate, plainRate, ratio, cpuRatio []float64
			for b.Loop() {
				used := children()
				ours := lorries(b, fresh(b, dir), n, 4, url)
				oursUsed := children() - used
				used = children()
				same := cloneAndPush(b, fresh(b, dir), careful, n, 4, url)
				sameUsed := children() - used
				plain := cloneAndPush(b, fresh(b, dir), nil, n, 1, url)
				each := float64(n)
				oursRate, sameRate, plainRate = append(oursRate, each/ours.Seconds()), append(sameRate, each/same.Seconds()), append(plainRate, each/plain.Seconds())
				ratio = append(ratio, ours.Seconds()/same.Seconds())
				cpuRatio = append(cpuRatio, float64(oursUsed)/float64(sameUsed))
			}
			b.ReportMetric(median(oursRate), "lorries/s")
			b.ReportMetric(median(sameRate), "git-4-careful/s")
			b.ReportMetric(median(plainRate), "git-plain-loop/s")
			b.ReportMetric(median(ratio), "ratio")
			b.ReportMetric(median(cpuRatio), "cpu-ratio")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// fresh makes an empty directory, which goes before the next one is made, since a disk
// may not hold those of all rounds.
func fresh(b *testing.B, below string) string {
	b.Helper()
	dir := filepath.Join(below, "round")
	if err := os.RemoveAll(dir); err != nil {
		b.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	return dir
}

// BenchmarkPushOfManyRefs changes 2,000 refs. ratio is lorry's whole run by one
// git fetch and one git push with patterns, with the same care.
func BenchmarkPushOfManyRefs(b *testing.B) {
	const refs = 2000
	dir := b.TempDir()
	up := gittest.Seed(b, filepath.Join(dir, "up", "r0.git"))
	up.Branches(refs, "first")
	server := gittest.NewServer(b, filepath.Join(dir, "up"))
	url := func(int) string { return server.URL + "/r0.git" }
	ours, same := filepath.Join(dir, "ours"), filepath.Join(dir, "same")
	for _, d := range []string{ours, same} {
		if err := os.Mkdir(d, 0o755); err != nil {
			b.Fatal(err)
		}
	}
	lorries(b, ours, 1, 1, url)
	cloneAndPush(b, same, careful, 1, 1, url)
	env := gitEnv(b, dir, careful)
	var oursTook, fetchTook, pushTook, ratio []float64
	for b.Loop() {
		up.Branches(refs, "more")
		mine := lorries(b, ours, 1, 1, url)
		work := "--git-dir=" + filepath.Join(same, "w0")
		start := time.Now()
		if err := run(env, same, "git", work, "fetch", "-q", "--atomic", "--no-tags", "--", url(0), "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"); err != nil {
			b.Fatal(err)
		}
		fetch := time.Since(start)
		start = time.Now()
		if err := run(env, same, "git", work, "push", "-q", "--", filepath.Join(same, "d0"), "refs/heads/*", "refs/tags/*"); err != nil {
			b.Fatal(err)
		}
		push := time.Since(start)
		oursTook, fetchTook, pushTook = append(oursTook, mine.Seconds()), append(fetchTook, fetch.Seconds()), append(pushTook, push.Seconds())
		ratio = append(ratio, mine.Seconds()/(fetch+push).Seconds())
	}
	b.ReportMetric(median(oursTook), "s")
	b.ReportMetric(median(fetchTook), "git-fetch-s")
	b.ReportMetric(median(pushTook), "git-push-s")
	b.ReportMetric(median(ratio), "ratio")
	b.ReportMetric(0, "ns/op")
}
