package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// lorry is the program with a place to work in.
type lorry struct {
	t        *testing.T
	dir      string
	up, down *gittest.Repo
}

func newLorry(t *testing.T) *lorry {
	t.Helper()
	dir := t.TempDir()
	l := &lorry{t: t, dir: dir}
	l.up = gittest.Seed(t, filepath.Join(dir, "up.git"))
	l.down = gittest.NewRepo(t, filepath.Join(dir, "down", "group", "thing"))
	l.spec("thing.lorry", `{"group/thing": {"type": "git", "url": "`+l.up.Dir+`"}}`)
	return l
}

func (l *lorry) spec(name, text string) {
	l.t.Helper()
	if err := os.WriteFile(filepath.Join(l.dir, name), []byte(text), 0o644); err != nil {
		l.t.Fatal(err)
	}
}

// command makes the process, in a group of its own.
func (l *lorry) command(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], append([]string{"--no-default-configs"}, args...)...)
	cmd.Dir = l.dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + l.dir, asLorry + "=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// run runs it to its end.
func (l *lorry) run(args ...string) (status int, stdout, stderr string) {
	l.t.Helper()
	var out, errs bytes.Buffer
	cmd := l.command(args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		l.t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String()
}

func TestByHand(t *testing.T) {
	t.Parallel()
	l := newLorry(t)
	l.spec("my.conf", "[config]\nworking-area = area\nmirror-base-url-push = file://"+l.dir+"/down\nbundle = never\ntarball = always\ntarball-dest = tars\nmirror-base-url-fetch = git://git.example.org\n")
	status, stdout, stderr := l.run("--config", "my.conf", "--verb", "thing.lorry")
	if status != importer.ExitDone || stderr != "" {
		t.Fatalf("exit %d\n%s%s", status, stdout, stderr)
	}
	if diff := cmp.Diff(l.up.Mirrored(), l.down.Mirrored()); diff != "" {
		t.Error(diff)
	}
	for _, want := range []string{"Processing spec file thing.lorry\n", "Getting: group/thing\n", ".. doing initial clone\n", "   new      refs/heads/main "} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in\n%s", want, stdout)
		}
	}
	if out, err := exec.Command("tar", "-tf", filepath.Join(l.dir, "tars", "git___git_example_org_group_thing.tar")).CombinedOutput(); err != nil || !strings.Contains(string(out), "./HEAD\n") {
		t.Errorf("%v: %s", err, out)
	}
	if got := gittest.OpenRepo(t, filepath.Join(l.dir, "area", "group_thing", "git")).Mirrored(); !cmp.Equal(l.up.Mirrored(), got) {
		t.Errorf("the working area has %v", got)
	}
}

func TestExitStatus(t *testing.T) {
	t.Parallel()
	l := newLorry(t)
	l.spec("bad.lorry", "{\n  \"a\": {\"type\": \"git\"}\n}")
	l.spec("mixed.lorry", `{"no": {"type": "git", "url": "/no/such/place"}, "group/thing": {"type": "git", "url": "`+l.up.Dir+`"}}`)
	for _, test := range []struct {
		name   string
		args   []string
		status int
		stderr string
	}{
		{"nothing named", nil, importer.ExitUsage, "no .lorry file is named"},
		{"unknown option", []string{"--nonsense", "x"}, importer.ExitUsage, "no such option"},
		{"no such file", []string{"--pull-only", "none.lorry"}, importer.ExitFailed, "none.lorry"},
		{"bad file", []string{"--pull-only", "bad.lorry"}, importer.ExitFailed, "bad.lorry:2: error: a.url: the url is missing"},
		{"one of two", []string{"--pull-only", "-w", "w1", "mixed.lorry"}, importer.ExitFailed, "ERROR: no: upstream: "},
		{"nowhere to push", []string{"-w", "w2", "thing.lorry"}, importer.ExitFailed, "set mirror-base-url-push"},
		{"password on the command line", []string{"--mirror-base-url-push", "https://me:pw@example.org", "thing.lorry"}, importer.ExitUsage, "must hold no password"},
		{"good", []string{"--pull-only", "-w", "w3", "thing.lorry"}, importer.ExitDone, ""},
		{"check", []string{"check", "thing.lorry"}, importer.ExitDone, ""},
		{"check of a bad one", []string{"check", "bad.lorry", "mixed.lorry"}, importer.ExitFailed, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			status, stdout, stderr := l.run(test.args...)
			if status != test.status || !strings.Contains(stderr, test.stderr) {
				t.Errorf("exit %d\n%s\n%s", status, stdout, stderr)
			}
		})
	}
}

func TestHelpNamesTheDescriptors(t *testing.T) {
	t.Parallel()
	l := newLorry(t)
	status, stdout, _ := l.run("--help")
	for _, want := range []string{"--access-fd", "--report-fd", "Exit status", "cvsps"} {
		if status != 0 || !strings.Contains(stdout, want) {
			t.Errorf("exit %d, no %q in\n%s", status, want, stdout)
		}
	}
}

// request runs lorry as a minion does.
func (l *lorry) request(req protocol.ImportRequest, file string) (int, protocol.ImportReport) {
	l.t.Helper()
	text, err := json.Marshal(req)
	if err != nil {
		l.t.Fatal(err)
	}
	accessRead, accessWrite, err := os.Pipe()
	if err != nil {
		l.t.Fatal(err)
	}
	reportRead, reportWrite, err := os.Pipe()
	if err != nil {
		l.t.Fatal(err)
	}
	defer func() { _, _ = accessRead.Close(), reportRead.Close() }()
	if _, err := accessWrite.Write(text); err != nil {
		l.t.Fatal(err)
	}
	_ = accessWrite.Close()
	cmd := l.command("--working-area", filepath.Join(l.dir, "work"), "--access-fd", "3", "--report-fd", "4", file)
	cmd.ExtraFiles = []*os.File{accessRead, reportWrite}
	out, err := cmd.CombinedOutput()
	_ = reportWrite.Close()
	var report protocol.ImportReport
	if derr := json.NewDecoder(reportRead).Decode(&report); derr != nil {
		l.t.Fatalf("no report: %v, %v\n%s", derr, err, out)
	}
	return cmd.ProcessState.ExitCode(), report
}

func TestForAMinion(t *testing.T) {
	t.Parallel()
	l := newLorry(t)
	req := protocol.ImportRequest{Path: "group/thing", Push: &protocol.Access{URL: l.down.Dir}, FileRoots: []string{l.dir}}
	status, report := l.request(req, "thing.lorry")
	if status != 0 || report.Exit != 0 || report.Path != "group/thing" || report.Digest == "" || report.Head != "refs/heads/main" || len(report.Refs) != 4 {
		t.Errorf("exit %d, %+v", status, report)
	}
	if diff := cmp.Diff(l.up.Mirrored(), l.down.Mirrored()); diff != "" {
		t.Error(diff)
	}
	req.Digest = report.Digest
	if status, report := l.request(req, "thing.lorry"); status != 0 || !report.Unchanged {
		t.Errorf("exit %d, %+v", status, report)
	}
	req.Path = "another/thing"
	if status, report := l.request(req, "thing.lorry"); status != 1 || report.Failure.Kind != core.FailSpec || report.Path != "another/thing" {
		t.Errorf("exit %d, %+v", status, report)
	}
}

// TestInjection holds that no text of a .lorry file becomes an option or a
// command.
func TestInjection(t *testing.T) {
	t.Parallel()
	l := newLorry(t)
	canary := filepath.Join(l.dir, "canary")
	for _, url := range []string{
		"--upload-pack=touch " + canary, "--upload-pack=touch\t" + canary, "-oProxyCommand=touch${IFS}" + canary,
		"ssh://-oProxyCommand=touch${IFS}" + canary + "/x", "ext::sh -c touch% " + canary, "ext::touch${IFS}" + canary,
		"file:///x;touch${IFS}" + canary, "`touch${IFS}" + canary + "`:x", "$(touch${IFS}" + canary + "):x", "git@example.invalid:`touch${IFS}" + canary + "`",
		"git@-oProxyCommand=touch${IFS}" + canary + ":x", "fd::3", "/x;touch${IFS}" + canary, "git://127.0.0.1:1/--upload-pack=touch", "git://-x/y",
	} {
		text, err := json.Marshal(map[string]any{"group/thing": map[string]any{"type": "git", "url": url}})
		if err != nil {
			t.Fatal(err)
		}
		l.spec("evil.lorry", string(text))
		status, stdout, stderr := l.run("--pull-only", "evil.lorry")
		if _, err := os.Stat(canary); err == nil {
			t.Fatalf("%q ran a command\n%s%s", url, stdout, stderr)
		}
		if status != importer.ExitFailed {
			t.Errorf("%q: exit %d\n%s%s", url, status, stdout, stderr)
		}
	}
}

// TestHostileConfiguration holds that neither the user's git configuration nor
// hooks in the repositories run.
func TestHostileConfiguration(t *testing.T) {
	t.Parallel()
	l := newLorry(t)
	canary := filepath.Join(l.dir, "canary")
	l.spec(".gitconfig", "[core]\n\thooksPath = "+l.dir+"/hooks\n\tfsmonitor = touch "+canary+"\n\tsshCommand = touch "+canary+"\n[uploadpack]\n\tpackObjectsHook = touch "+canary+"\n")
	script := "#!/bin/sh\ntouch " + canary + "\n"
	for _, dir := range []string{l.dir, l.down.Dir, l.up.Dir} {
		if err := os.MkdirAll(filepath.Join(dir, "hooks"), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, hook := range []string{"pre-receive", "update", "post-receive", "post-update", "reference-transaction", "pre-push", "post-checkout"} {
			if err := os.WriteFile(filepath.Join(dir, "hooks", hook), []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	l.up.Git("config", "uploadpack.packObjectsHook", "touch "+canary)
	status, stdout, stderr := l.run("--mirror-base-url-push", filepath.Join(l.dir, "down"), "thing.lorry")
	if _, err := os.Stat(canary); err == nil || status != importer.ExitDone {
		t.Errorf("exit %d, canary %v\n%s%s", status, err, stdout, stderr)
	}
}

// TestPorcelain holds that standard output is JSON lines alone, the last of
// which is the report with every ref.
func TestPorcelain(t *testing.T) {
	t.Parallel()
	l := newLorry(t)
	args := []string{"--porcelain", "--mirror-base-url-push", filepath.Join(l.dir, "down"), "thing.lorry"}
	_, first, _ := l.run(args...)
	l.up.Commit("refs/heads/main", "one more, which is pushed and not copied")
	status, stdout, stderr := l.run(args...)
	var last struct {
		protocol.ImportReport
		Progress *protocol.Progress `json:"progress"`
	}
	phases, refs := map[string]bool{}, 0
	for line := range strings.Lines(first + stdout) {
		last.Progress = nil
		if err := json.Unmarshal([]byte(line), &last); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if last.Progress != nil {
			phases[last.Progress.Phase] = true
		} else {
			refs += len(last.Refs)
		}
	}
	if status != importer.ExitDone || last.Progress != nil || last.Path != "group/thing" || refs != 4+1 || !strings.Contains(stderr, "Getting: group/thing") {
		t.Errorf("exit %d\n%s\n%s", status, stdout, stderr)
	}
	for _, want := range []string{"looking at upstream", "fetching", "Receiving objects", "pushing", "Writing objects"} {
		if !phases[want] {
			t.Errorf("no phase %q in %v", want, phases)
		}
	}
}
