package importer

import (
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// trustingWorld is a largeWorld over TLS with an authority of its own.
type trustingWorld struct {
	*largeWorld
	authority string // PEM
}

func newTrustingWorld(t *testing.T) *trustingWorld {
	t.Helper()
	w := &trustingWorld{largeWorld: newLargeWorld(t)}
	w.server = gittest.NewTLSLFS(t, w.dir)
	w.server.User, w.server.Password, w.server.Token = "ali", "opensesame", "one-transfer"
	w.authority = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.server.Certificate().Raw}))
	w.trust(true, true)
	return w
}

// trust says of each side whether its authority is known.
func (w *trustingWorld) trust(up, down bool) {
	w.opts.Spec.Access = core.Access{URL: w.server.URL + "/" + upName, Username: "ali", Secret: core.NewSecret("opensesame")}
	w.opts.Request.Push = &protocol.Access{URL: w.server.URL + "/" + downName, Username: "ali", Secret: "opensesame"}
	if up {
		w.opts.Spec.Access.Authorities = w.authority
	}
	if down {
		w.opts.Request.Push.Authorities = w.authority
	}
}

// lfs runs git with the real git-lfs, which trusts the authority.
func (w *trustingWorld) lfs(args ...string) {
	w.t.Helper()
	file := filepath.Join(w.dir, "authority.pem")
	if err := os.WriteFile(file, []byte(w.authority), 0o600); err != nil {
		w.t.Fatal(err)
	}
	cmd := exec.Command("git", append([]string{
		"-c", "http.sslCAInfo=" + file, "-c", "filter.lfs.clean=git-lfs clean -- %f", "-c", "filter.lfs.smudge=git-lfs smudge -- %f",
		"-c", "filter.lfs.required=true", "-c", "filter.lfs.process=git-lfs filter-process", "-c", "user.name=A", "-c", "user.email=a@example.com",
	}, args...)...)
	cmd.Env = append(gittest.Env(), "HOME="+w.dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("git %q: %v: %s", args, err, out)
	}
}

func (w *trustingWorld) url(name string) string {
	return strings.Replace(w.server.URL, "://", "://ali:opensesame@", 1) + "/" + name
}

// TestLargeFilesOfAHostWithItsOwnAuthority: what the real git-lfs has put on a
// host whose certificate only its own authority vouches for is fetched there
// and pushed there, and the real git-lfs gets it from the mirror.
func TestLargeFilesOfAHostWithItsOwnAuthority(t *testing.T) {
	t.Parallel()
	gittest.Require(t, "git-lfs")
	w := newTrustingWorld(t)
	w.up.Git("config", "http.receivepack", "true")
	work := filepath.Join(w.dir, "work")
	w.lfs("clone", "-q", "-b", "main", w.url(upName), work)
	for name, content := range map[string]string{"one.bin": "a large one", "two.bin": "another large one"} {
		if err := os.WriteFile(filepath.Join(work, "sub", name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.lfs("-C", work, "add", "sub")
	w.lfs("-C", work, "commit", "-q", "-m", "large files")
	w.lfs("-C", work, "lfs", "push", "--all", w.url(upName), "main")
	w.lfs("-C", work, "push", "-q", w.url(upName), "main")
	if n := len(w.server.Objects(upName)); n != 2 {
		t.Fatalf("git-lfs has put %d objects upstream", n)
	}

	w.mustRun()
	w.mustHave()
	clone := filepath.Join(w.dir, "clone")
	w.lfs("clone", "-q", "-b", "main", w.url(downName), clone)
	if text, err := os.ReadFile(filepath.Join(clone, "sub", "two.bin")); err != nil || string(text) != "another large one" {
		t.Errorf("git-lfs gets %q from the mirror (%v)", text, err)
	}
	if strings.Contains(w.out.String(), "opensesame") || strings.Contains(w.out.String(), "one-transfer") {
		t.Errorf("a secret is in the output:\n%s", w.out)
	}
}

// TestAnAuthorityIsOneSidesOwn: that of one host does not count for another,
// and nothing is sent where none does.
func TestAnAuthorityIsOneSidesOwn(t *testing.T) {
	t.Parallel()
	w := newTrustingWorld(t)
	w.add("sub/a.bin", "some content")
	for _, known := range [][2]bool{{false, true}, {true, false}} {
		w.trust(known[0], known[1])
		report := w.mustFail(core.FailTLS)
		if report.Failure.Hint == "" {
			t.Errorf("%v: %+v", known, report.Failure)
		}
		if n := len(w.server.Objects(downName)); n > 0 {
			t.Errorf("%v: %d objects were pushed", known, n)
		}
	}
	w.trust(true, true)
	w.mustRun()
	w.mustHave()
}
