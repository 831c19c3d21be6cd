package cli

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core/importer"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/tool"
)

// victim is one kind of upstream whose imports are disturbed.
type victim struct {
	name string
	// rounds is how many rounds an ordinary run takes.
	rounds int
	// slow leaves a disk that fails to the long run.
	slow bool
	// afresh makes every run that is disturbed a first import.
	afresh bool
	// make makes the upstream below l.dir. It gives the entry of the .lorry
	// file, a function that changes the upstream, and one that says what its
	// branches and tags are; nil: what an undisturbed import makes of it.
	make func(t *testing.T, l *lorry) (entry string, change func(round int), want func() map[string]string)
	// versions says that the history is that of the versions that were seen.
	versions bool
	// needs are the programs without which the kind is left out.
	needs []string
	// beside are the names that the kind keeps beside the repository.
	beside []string
}

// disturbance ends or breaks a run. It reports whether it came in time.
type disturbance struct {
	name string
	// prepare is called once, when the working area is not there yet.
	prepare func(t *testing.T, l *lorry)
	disturb func(l *lorry, random *rand.Rand, whole time.Duration, args ...string) bool
	root    bool
	needs   []string
}

// kill kills lorry alone or every process of the run at once, at any moment.
func kill() disturbance {
	n := 0
	return disturbance{name: "SIGKILL", disturb: func(l *lorry, random *rand.Rand, whole time.Duration, args ...string) bool {
		n++
		return l.killAfter(time.Duration(random.Int64N(int64(whole))), n%2 == 0, args...)
	}}
}

// diskFull lets the disk of the working area fill up in mid-run.
func diskFull() disturbance {
	remount := func(l *lorry, size string) {
		if err := syscall.Mount("tmpfs", filepath.Join(l.dir, "work"), "tmpfs", syscall.MS_REMOUNT, "size="+size); err != nil {
			l.t.Fatal(err)
		}
	}
	most := int64(1) // blocks that are free; nearly none the first time
	return disturbance{
		name: "disk full", root: true,
		prepare: func(t *testing.T, l *lorry) {
			work := filepath.Join(l.dir, "work")
			if err := os.Mkdir(work, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := syscall.Mount("tmpfs", work, "tmpfs", 0, "size=1g"); err != nil {
				t.Skipf("cannot mount: %v", err)
			}
			t.Cleanup(func() { _ = syscall.Unmount(work, syscall.MNT_DETACH) })
		},
		disturb: func(l *lorry, random *rand.Rand, _ time.Duration, args ...string) bool {
			var st syscall.Statfs_t
			if err := syscall.Statfs(filepath.Join(l.dir, "work"), &st); err != nil {
				l.t.Fatal(err)
			}
			remount(l, fmt.Sprint((int64(st.Blocks-st.Bfree)+random.Int64N(most))*st.Bsize))
			most = 40
			defer remount(l, "1g")
			status, _, _ := l.run(args...)
			return status != importer.ExitDone
		},
	}
}

// badDisk makes every fsync of a process fail from some moment on, the first
// time from its first one: most processes flush only a few times. Without
// seccomp, strace would stop them at every system call.
func badDisk() disturbance {
	most := 1
	return disturbance{name: "EIO", needs: []string{"strace"}, disturb: func(l *lorry, random *rand.Rand, _ time.Duration, args ...string) bool {
		command := l.command(args...)
		traced := exec.Command("strace", append([]string{
			"-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync,syncfs",
			"-e", fmt.Sprintf("inject=fsync,fdatasync,syncfs:error=EIO:when=%d+", 1+random.IntN(most)), command.Path,
		}, command.Args[1:]...)...)
		most = min(12, 2*most)
		traced.Dir, traced.Env = command.Dir, command.Env
		return traced.Run() != nil
	}}
}

// TestDisturbedAtAnyMoment kills runs of each kind at random moments, fills
// their disk and lets it fail. No disturbance leaves refs half changed without
// a record that undoes it, and the next run is right without anybody's help.
//
// With LORRY_TEST_SOAK each disturbance has 200 rounds with an upstream of its
// own; LORRY_TEST_VICTIM names the one to run, such as "SIGKILL git", and
// LORRY_TEST_ROUNDS another number of rounds.
func TestDisturbedAtAnyMoment(t *testing.T) {
	t.Parallel()
	all := []func() disturbance{kill, diskFull, badDisk}
	if os.Getenv("LORRY_TEST_SOAK") == "" {
		for _, v := range victims() {
			t.Run(v.name, func(t *testing.T) {
				t.Parallel()
				if v.slow {
					disturbed(t, v, all[:2], v.rounds)
				} else {
					disturbed(t, v, all, v.rounds)
				}
			})
		}
		return
	}
	only, rounds := os.Getenv("LORRY_TEST_VICTIM"), 200
	if n, err := strconv.Atoi(os.Getenv("LORRY_TEST_ROUNDS")); err == nil {
		rounds = n
	}
	for _, d := range all {
		for _, v := range victims() {
			name := d().name + " " + v.name
			t.Run(name, func(t *testing.T) {
				if only != "" && only != name {
					t.Skip("LORRY_TEST_VICTIM names another")
				}
				disturbed(t, v, []func() disturbance{d}, rounds)
			})
		}
	}
}

// scene is one upstream whose imports are disturbed.
type scene struct {
	*lorry
	victim
	area   *gittest.Repo
	args   []string
	random *rand.Rand
	change func(round int)
	want   func() map[string]string
	round  int
	after  map[string]string // what upstream's refs are now
	whole  time.Duration     // how long a run takes
}

// disturbed disturbs the imports of one upstream in each way in turn: so often
// by signals, a fourth of that by each fault of the disk, and all rounds when
// there is only one way.
func disturbed(t *testing.T, v victim, ways []func() disturbance, rounds int) {
	t.Helper()
	for _, program := range v.needs {
		gittest.Require(t, program)
	}
	seed := uint64(time.Now().UnixNano())
	s := &scene{lorry: newLorry(t), victim: v, random: rand.New(rand.NewPCG(seed, 1))}
	var able []disturbance
	for _, way := range ways {
		d := way()
		if d.root && os.Geteuid() != 0 {
			t.Logf("%s is left out: only root can mount", d.name)
			continue
		}
		for _, program := range d.needs {
			gittest.Require(t, program)
		}
		if d.prepare != nil {
			d.prepare(t, s.lorry)
		}
		able = append(able, d)
	}
	if len(able) == 0 {
		tool.Missing(t, "no disturbance can be made here", "all")
	}
	s.start()
	for _, d := range able {
		n := rounds
		if d.name != "SIGKILL" && len(ways) > 1 {
			n = (rounds + 3) / 4
		}
		disturbs, done := 0, 0
		// With few rounds none may come in time.
		for ; done < n || disturbs == 0 && done < n+20; done++ {
			if s.disturb(d) {
				disturbs++
			}
			if done%50 == 49 && done+1 < n {
				t.Logf("%s %s: %d of %d runs were disturbed so far", d.name, v.name, disturbs, done+1)
			}
		}
		t.Logf("%s %s: seed %d, a whole run takes %v, %d refs, %d of %d runs were disturbed, the next one was right after each",
			d.name, v.name, seed, s.whole, len(s.after), disturbs, done)
		if disturbs == 0 {
			t.Errorf("%s: no run was disturbed in time", d.name)
		}
	}
	s.down.Fsck()
	s.area.Fsck()
	s.mustBeClean(v.beside, s.area.Dir, s.down.Dir)
}

// start makes the upstream, mirrors it and takes the time of a run.
func (s *scene) start() {
	entry, change, want := s.make(s.t, s.lorry)
	s.spec("thing.lorry", `{"group/thing": `+entry+`}`)
	run := func(work, down string) []string {
		return []string{"--working-area", work, "--mirror-base-url-push", filepath.Join(s.dir, down), "--lock-wait", "20", "thing.lorry"}
	}
	s.args, s.change, s.want = run("work", "down"), change, want
	if want == nil {
		s.want = func() map[string]string {
			s.mustRun(run("reference", "reference-down")...)
			return gittest.OpenRepo(s.t, filepath.Join(s.dir, "reference-down", "group", "thing")).Mirrored()
		}
	}
	s.area = gittest.OpenRepo(s.t, filepath.Join(s.dir, "work", "group_thing", "git"))
	s.mustRun(s.args...)
	if s.versions {
		s.want()
	}
	change(-1)
	s.forget()
	start := time.Now()
	s.mustRun(s.args...)
	s.whole = time.Since(start)
	s.after = s.want()
}

// disturb changes the upstream, disturbs a run and holds the next one to be
// right. It reports whether the disturbance came in time.
func (s *scene) disturb(d disturbance) bool {
	round := s.round
	s.round++
	before := s.after
	s.change(round)
	s.after = s.want()
	if s.forget() {
		before = nil
	}
	hit := d.disturb(s.lorry, s.random, s.whole, s.args...)
	if !hit {
		s.whole = s.whole * 9 / 10 // the measure was taken on a busy machine
	}
	if _, err := os.Stat(filepath.Join(s.dir, "work", "group_thing", "refs-before")); err != nil {
		if refs := mirrored(s.area); !maps.Equal(refs, before) && !maps.Equal(refs, s.after) {
			s.t.Errorf("round %d: the working area is mixed and has no record", round)
		}
	}
	for ref, object := range mirrored(s.down) {
		if object != before[ref] && object != s.after[ref] {
			s.t.Errorf("round %d: downstream has %s at %s, neither old nor new", round, ref, object)
		}
	}
	s.mustRun(s.args...)
	if diff := cmp.Diff(s.after, s.down.Mirrored()); diff != "" {
		s.t.Fatalf("%s, round %d: %s", d.name, round, diff)
	}
	if diff := cmp.Diff(s.after, s.area.Mirrored()); diff != "" {
		s.t.Fatalf("%s, round %d: %s", d.name, round, diff)
	}
	if round%20 == 19 {
		s.down.Fsck()
		s.area.Fsck()
	}
	return hit
}

// forget removes the working copy and the mirror where every run is to be a
// first one.
func (s *scene) forget() bool {
	for _, dir := range []string{filepath.Dir(s.area.Dir), s.down.Dir} {
		if s.afresh {
			if err := os.RemoveAll(dir); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	return s.afresh
}

// mirrored are the branches and tags of a repository that a run may not have
// made yet.
func mirrored(r *gittest.Repo) map[string]string {
	if _, err := os.Stat(filepath.Join(r.Dir, "HEAD")); err != nil {
		return nil
	}
	return r.Mirrored()
}

// mustBeClean looks for what a dead run could have left.
func (l *lorry) mustBeClean(beside []string, dirs ...string) {
	l.t.Helper()
	for _, dir := range dirs {
		_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err == nil && (strings.HasSuffix(path, ".lock") || strings.HasPrefix(d.Name(), "tmp_") || strings.HasPrefix(d.Name(), "tmp_objdir")) {
				l.t.Errorf("%s was left", path)
			}
			return nil
		})
	}
	entries, err := os.ReadDir(filepath.Join(l.dir, "work", "group_thing"))
	if err != nil {
		l.t.Fatal(err)
	}
	for _, e := range entries {
		if name := e.Name(); !slices.Contains(append([]string{"git", "lock", "name", "pushed", "pushed-head", "checked"}, beside...), name) {
			l.t.Errorf("%s was left", name)
		}
	}
}
