package integration

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/lorry-controller/lorry-controller/sdk/forgetest/tool"
)

// binDir is where TestMain built every program.
var binDir string

func TestMain(m *testing.M) {
	// The commands of the scripts are this test binary under other names; those
	// processes must not build anything.
	testscript.Main(programs{m}, map[string]func(){
		"api":       exitWith(apiMain),
		"waitfor":   exitWith(waitforMain),
		"seed":      exitWith(seedMain),
		"gitd":      exitWith(gitdMain),
		"gone":      exitWith(goneMain),
		"same":      exitWith(sameMain),
		"certs":     exitWith(certsMain),
		"hook":      exitWith(hookMain),
		"inbox":     exitWith(inboxMain),
		"smtpd":     exitWith(smtpdMain),
		"described": exitWith(describedMain),
	})
}

// programs builds the programs under test before the tests run.
type programs struct{ m *testing.M }

func (p programs) Run() int {
	dir, err := os.MkdirTemp("", "lorry-bin")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-o", dir+"/", "./cmd/...")
	build.Dir = ".."
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the programs: %v\n%s", err, out)
		return 2
	}
	binDir = dir
	return p.m.Run()
}

func exitWith(main func(args []string) error) func() {
	return func() {
		if err := main(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// TestScripts runs every folder of testdata; the list is read from the disk so
// that none is forgotten.
func TestScripts(t *testing.T) {
	t.Parallel()
	folders, err := filepath.Glob("testdata/*")
	if err != nil || len(folders) == 0 {
		t.Fatalf("no folder of scripts found: %v", err)
	}
	for _, dir := range folders {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			testscript.Run(t, testscript.Params{
				Dir:                 dir,
				Setup:               setup,
				RequireExplicitExec: true,
				Cmds: map[string]func(*testscript.TestScript, bool, []string){
					"freeport":  freeport,
					"kill9":     signal(syscall.SIGKILL),
					"terminate": signal(syscall.SIGTERM),
					"hangup":    signal(syscall.SIGHUP),
					"running":   running,
					"tmpfs":     tmpfs,
				},
				Condition: condition,
			})
		})
	}
}

func setup(env *testscript.Env) error {
	env.Setenv("BIN", binDir)
	repo, err := filepath.Abs("..")
	if err != nil {
		return err
	}
	env.Setenv("REPO", repo)
	env.Setenv("PATH", binDir+string(os.PathListSeparator)+env.Getenv("PATH"))
	env.Setenv("HOME", env.WorkDir)
	env.Setenv("GIT_CONFIG_NOSYSTEM", "1")
	for _, who := range []string{"AUTHOR", "COMMITTER"} {
		env.Setenv("GIT_"+who+"_NAME", "A Person")
		env.Setenv("GIT_"+who+"_EMAIL", "person@example.com")
	}
	return nil
}

// freeport NAME... sets each NAME to an address on loopback that was free.
func freeport(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: freeport NAME...")
	}
	for _, name := range args {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		ts.Setenv(name, l.Addr().String())
		ts.Check(l.Close())
	}
}

// signal makes a command "NAME PATTERN" that waits for processes of the script
// whose command line holds PATTERN and sends them a signal. The script's own kill command
// knows neither SIGTERM nor the children of what it started.
func signal(sig syscall.Signal) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 1 {
			ts.Fatalf("usage: kill9 PATTERN, terminate PATTERN")
		}
		found := await(ts.Getenv("WORK"), args[0])
		if len(found) == 0 {
			ts.Fatalf("no process of this script matches %q", args[0])
		}
		for _, p := range found {
			if err := syscall.Kill(p.pid, sig); err != nil {
				ts.Fatalf("%s to %d: %v", sig, p.pid, err)
			}
			ts.Logf("%s to %d: %s", sig, p.pid, p.command)
		}
	}
}

// running PATTERN waits until a process of the script matches.
func running(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: running PATTERN")
	}
	if len(await(ts.Getenv("WORK"), args[0])) == 0 {
		ts.Fatalf("no process of this script matches %q", args[0])
	}
}

// await looks for processes until there are some.
func await(dir, pattern string) []process {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		if found := processes(dir, pattern); len(found) > 0 {
			return found
		}
	}
	return nil
}

// tmpfs DIR SIZE mounts a small file system on DIR until the script ends.
func tmpfs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: tmpfs DIR SIZE")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	ts.Check(syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+args[1]))
	ts.Defer(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
}

// condition knows [root], [namespaces] for unshare(1) being allowed to make one of
// processes, and [tool:NAME], which fails the test instead of
// being false when LORRY_TEST_REQUIRE names the tool.
func condition(name string) (bool, error) {
	if name == "root" {
		return os.Getuid() == 0, nil
	}
	if name == "namespaces" {
		return exec.Command("unshare", "--pid", "--fork", "--mount-proc", "true").Run() == nil, nil
	}
	program, ok := strings.CutPrefix(name, "tool:")
	if !ok {
		return false, fmt.Errorf("unknown condition %q", name)
	}
	_, err := exec.LookPath(program)
	if err != nil && tool.Required("all", program) {
		return false, fmt.Errorf("%s is required but not installed", program)
	}
	return err == nil, nil
}
