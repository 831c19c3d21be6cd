package cli

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/core/importer"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/tool"
)

// withTools gives lorry a PATH that holds git, with no commands of other
// packages, and the programs that are given as shell scripts.
func (l *lorry) withTools(scripts map[string]string) (path string) {
	l.t.Helper()
	git, err := exec.LookPath("git")
	if err != nil {
		tool.Missing(l.t, "there is no git", "all", "git")
	}
	path = l.t.TempDir()
	all := map[string]string{"git": fmt.Sprintf("for a; do [ \"$a\" = --exec-path ] && echo %s && exit; done\nexec %s \"$@\"\n", path, git)}
	for name, text := range scripts {
		all[name] = text
	}
	for name, text := range all {
		if err := os.WriteFile(filepath.Join(path, name), []byte("#!/bin/sh\n"+text), 0o755); err != nil {
			l.t.Fatal(err)
		}
	}
	return path
}

// TestCheckTellsWhichProgramsAreMissing also of those that only a conversion
// runs, each with its package.
func TestCheckTellsWhichProgramsAreMissing(t *testing.T) {
	t.Parallel()
	l := newLorry(t)
	for name, text := range map[string]string{
		"svn": `{"type": "svn", "url": "file:///no/such/svn"}`,
		"hg":  `{"type": "hg", "url": "/no/such/hg"}`,
		"cvs": `{"type": "cvs", "url": "/no/such/cvs", "module": "m"}`,
		"bzr": `{"type": "bzr", "url": "/no/such/bzr"}`,
		"xz":  `{"type": "tarball", "url": "file:///no/such-1.0.tar.xz"}`,
		"lz":  `{"type": "tarball", "url": "file:///no/such-1.0.tar.lz"}`,
		"zst": `{"type": "tarball", "url": "https://127.0.0.1:1/such-1.0.tar.zst?x=y"}`,
		"ssh": `{"type": "git", "url": "nobody@127.0.0.1:such.git"}`,
		"gz":  `{"type": "tarball", "url": "file:///no/such-1.0.tar.gz"}`,
	} {
		l.spec(name+".lorry", `{"group/thing": `+text+`}`)
	}
	ready := "exit 0\n"
	for _, test := range []struct {
		file    string
		scripts map[string]string
		missing []string // program and package
	}{
		{"svn", nil, []string{"svn subversion", "git svn git-svn"}},
		{"svn", map[string]string{"svn": ready}, []string{"git svn git-svn"}},
		{"hg", nil, []string{"hg mercurial"}},
		{"cvs", nil, []string{"cvs cvs", "cvsps cvsps", "git cvsimport git-cvs"}},
		{"cvs", map[string]string{"cvs": ready, "git-cvsimport": ready}, []string{"cvsps cvsps"}},
		{"bzr", nil, []string{"brz brz"}},
		{"bzr", map[string]string{"bzr": ready}, nil},
		{"xz", nil, []string{"xz xz-utils"}},
		{"lz", nil, []string{"lzip lzip"}},
		{"zst", nil, []string{"zstd zstd"}},
		{"ssh", nil, []string{"ssh openssh-client"}},
		{"gz", nil, nil},
		{"thing", nil, nil},
	} {
		cmd := l.command("check", test.file+".lorry")
		cmd.Env[0] = "PATH=" + l.withTools(test.scripts)
		out, _ := cmd.Output()
		want := ""
		for _, one := range test.missing {
			at := strings.LastIndexByte(one, ' ')
			want += fmt.Sprintf("%s.lorry:1: group/thing: error: tool: the program %q is not installed (on Debian: apt install %s) (install it where the minion runs)\n", test.file, one[:at], one[at+1:])
		}
		got := ""
		for line := range strings.Lines(string(out)) {
			if strings.Contains(line, "not installed") {
				got += line
			}
		}
		if status := cmd.ProcessState.ExitCode(); got != want || status != importer.ExitFailed && test.file != "thing" || status != importer.ExitDone && test.file == "thing" {
			t.Errorf("%s with %v: exit %d, want\n%s\ngot\n%s", test.file, test.scripts, status, want, out)
		}
	}
}

// TestCheckOfWhatIsNotThere has every program complain, and looks at all files.
func TestCheckOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"svn", "hg", "cvs", "brz"} {
		gittest.Require(t, program)
	}
	l := newLorry(t)
	args := []string{"check"}
	for name, text := range map[string]string{
		"a-svn": `{"type": "svn", "url": "file:///no/such/svn"}`,
		"b-hg":  `{"type": "hg", "url": "/no/such/hg"}`,
		"c-cvs": `{"type": "cvs", "url": "/no/such/cvs", "module": "m"}`,
		"d-bzr": `{"type": "bzr", "url": "/no/such/bzr"}`,
	} {
		l.spec(name+".lorry", `{"group/thing": `+text+`}`)
		args = append(args, name+".lorry")
	}
	status, out, wrong := l.run(args...)
	for _, file := range args[1:] {
		if !strings.Contains(out, file+":1: group/thing: error: ") {
			t.Errorf("%s is not told of", file)
		}
	}
	if status != importer.ExitFailed {
		t.Errorf("exit %d\n%s\n%s", status, out, wrong)
	}
}

// TestCheckWithoutGit: nothing can be looked at.
func TestCheckWithoutGit(t *testing.T) {
	t.Parallel()
	l := newLorry(t)
	cmd := l.command("check", "thing.lorry")
	cmd.Env[0] = "PATH=" + t.TempDir()
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != importer.ExitFailed || !strings.Contains(string(out), `"git" is not installed (on Debian: apt install git)`) {
		t.Errorf("%v: %s", err, out)
	}
}

// TestCheckLooksForBreezysLibrary: brz alone exports nothing.
func TestCheckLooksForBreezysLibrary(t *testing.T) {
	t.Parallel()
	l := newLorry(t)
	l.spec("bzr.lorry", `{"group/thing": {"type": "bzr", "url": "/no/such/bzr"}}`)
	cmd := l.command("check", "bzr.lorry")
	// As brz 3.3 says it.
	cmd.Env[0] = "PATH=" + l.withTools(map[string]string{"brz": "echo 'brz: ERROR: Unable to import library \"fastimport\": No module named fastimport' >&2; exit 3\n"})
	out, _ := cmd.Output()
	if text := string(out); cmd.ProcessState.ExitCode() != importer.ExitFailed || strings.Count(text, "error: tool: ") != 1 || !strings.Contains(text, "python3-fastimport") {
		t.Errorf("exit %d: %s", cmd.ProcessState.ExitCode(), text)
	}
	gittest.Require(t, "brz")
	if status, stdout, _ := l.run("check", "bzr.lorry"); status != importer.ExitFailed || strings.Contains(stdout, "tool") || !strings.Contains(stdout, "error: gone: ") {
		t.Errorf("exit %d: %s", status, stdout)
	}
}

// TestCheckHidesWhatAServerEchoes: a server may say a credential in its answer.
func TestCheckHidesWhatAServerEchoes(t *testing.T) {
	t.Parallel()
	l := newLorry(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = c.Close() }()
		user, password, _ := r.BasicAuth()
		fmt.Fprintf(c, "HTTP/1.1 500 for %s %s and %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", user, password, r.URL)
	}))
	t.Cleanup(s.Close)
	host := strings.TrimPrefix(s.URL, "http://")
	for name, text := range map[string]string{
		"token":     `{"type": "tarball", "url": "` + s.URL + `/tool-1.tar.gz?private_token=c4n4ry"}`,
		"signature": `{"type": "raw-file", "url": "http://ann:c4n4ryword@` + host + `/tool.bin?X-Amz-Signature=c4n4rysign"}`,
		"svn":       `{"type": "svn", "url": "http://ann:c4n4ryword@` + host + `/svn"}`,
		"git":       `{"type": "git", "url": "http://ann:c4n4ryword@` + host + `/tool.git"}`,
	} {
		l.spec(name+".lorry", `{"group/thing": `+text+`}`)
		status, stdout, stderr := l.run("check", name+".lorry")
		if status != importer.ExitFailed || !strings.Contains(stdout, "500") {
			t.Errorf("%s: exit %d\n%s%s", name, status, stdout, stderr)
		}
		if strings.Contains(stdout+stderr, "c4n4ry") {
			t.Errorf("%s: %s%s", name, stdout, stderr)
		}
	}
}
