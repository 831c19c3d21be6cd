package cli

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core/importer"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// victim is one kind of upstream whose imports are disturbed.
type victim struct {
	name string
	// rounds is how many rounds an ordinary run takes.
	rounds int
	// make makes the upstream below l.dir. It gives the entry of the .lorry
	// file, a function that changes the upstream, and one that says what its
	// branches and tags are; nil: what an undisturbed import makes of it.
	make func(t *testing.T, l *lorry) (entry string, change func(round int), want func() map[string]string)
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
// time from its first one: most processes flush only a few times.
func badDisk() disturbance {
	most := 1
	return disturbance{name: "EIO", needs: []string{"strace"}, disturb: func(l *lorry, random *rand.Rand, _ time.Duration, args ...string) bool {
		command := l.command(args...)
		traced := exec.Command("strace", append([]string{
			"-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync,syncfs",
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
func TestDisturbedAtAnyMoment(t *testing.T) {
	t.Parallel()
	only := os.Getenv("LORRY_TEST_VICTIM")
	for _, d := range []func() disturbance{kill, diskFull, badDisk} {
		for _, v := range victims() {
			d := d()
			name := d.name + " " + v.name
			t.Run(name, func(t *testing.T) {
				if only != "" && only != name {
					t.Skip("LORRY_TEST_VICTIM names another")
				}
				if os.Getenv("LORRY_TEST_SOAK") == "" {
					t.Parallel()
				}
				if d.root && os.Geteuid() != 0 {
					t.Skip("only root can mount")
				}
				for _, program := range slices.Concat(v.needs, d.needs) {
					gittest.Require(t, program)
				}
				disturbed(t, v, d)
			})
		}
	}
}

func disturbed(t *testing.T, v victim, d disturbance) {
	rounds := v.rounds
	if d.name != "SIGKILL" {
		rounds = (rounds + 3) / 4
	}
	soak := os.Getenv("LORRY_TEST_SOAK") != ""
	if soak {
		rounds = 200
	}
	l := newLorry(t)
	if d.prepare != nil {
		d.prepare(t, l)
	}
	entry, change, want := v.make(t, l)
	l.spec("thing.lorry", `{"group/thing": `+entry+`}`)
	run := func(work, down string) []string {
		return []string{"--working-area", work, "--mirror-base-url-push", filepath.Join(l.dir, down), "--lock-wait", "20", "thing.lorry"}
	}
	args := run("work", "down")
	if want == nil {
		want = func() map[string]string {
			l.mustRun(run("reference", "reference-down")...)
			return gittest.OpenRepo(t, filepath.Join(l.dir, "reference-down", "group", "thing")).Mirrored()
		}
	}
	area := gittest.OpenRepo(t, filepath.Join(l.dir, "work", "group_thing", "git"))
	l.mustRun(args...)
	want() // an archive's history is that of the versions that were seen
	change(-1)
	start := time.Now()
	l.mustRun(args...)
	whole := time.Since(start)
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 1))
	disturbs := 0
	after := want()
	for round := range rounds {
		before := after
		change(round)
		after = want()
		if d.disturb(l, random, whole, args...) {
			disturbs++
		} else {
			whole = whole * 9 / 10 // the measure was taken on a busy machine
		}
		if _, err := os.Stat(filepath.Join(l.dir, "work", "group_thing", "refs-before")); err != nil {
			if refs := area.Mirrored(); !maps.Equal(refs, before) && !maps.Equal(refs, after) {
				t.Errorf("round %d: the working area is mixed and has no record", round)
			}
		}
		for ref, object := range l.down.Mirrored() {
			if object != before[ref] && object != after[ref] {
				t.Errorf("round %d: downstream has %s at %s, neither old nor new", round, ref, object)
			}
		}
		l.mustRun(args...)
		if diff := cmp.Diff(after, l.down.Mirrored()); diff != "" {
			t.Fatalf("round %d: %s", round, diff)
		}
		if diff := cmp.Diff(after, area.Mirrored()); diff != "" {
			t.Fatalf("round %d: %s", round, diff)
		}
		if soak && round%20 == 19 {
			l.down.Fsck()
			area.Fsck()
		}
	}
	t.Logf("%s %s: seed %d, a whole run takes %v, %d refs, %d of %d runs were disturbed, the next one was right after each",
		d.name, v.name, seed, whole, len(after), disturbs, rounds)
	l.down.Fsck()
	area.Fsck()
	if disturbs == 0 {
		t.Error("no run was disturbed in time")
	}
	l.mustBeClean(v.beside, area.Dir, l.down.Dir)
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
		if name := e.Name(); !slices.Contains(append([]string{"git", "lock", "name", "pushed", "checked"}, beside...), name) {
			l.t.Errorf("%s was left", name)
		}
	}
}
