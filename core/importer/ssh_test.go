package importer

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// sshServer starts a real sshd for the user that runs the test, and gives its
// port, a directory with the key that it accepts, and its line for known_hosts.
func sshServer(t *testing.T) (port int, keys, known string) {
	t.Helper()
	for _, program := range []string{"ssh", "ssh-keygen"} {
		gittest.Require(t, program)
	}
	const sshd = "/usr/sbin/sshd"
	if _, err := os.Stat(sshd); err != nil {
		gittest.Require(t, "sshd")
	}
	dir := t.TempDir()
	keys = filepath.Join(dir, "keys")
	if err := os.Mkdir(keys, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{filepath.Join(dir, "host"), filepath.Join(keys, "id_ed25519")} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port = l.Addr().(*net.TCPAddr).Port
	_ = l.Close()
	config := fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey %s/host\nAuthorizedKeysFile %s/id_ed25519.pub\nStrictModes no\nUsePAM no\nPidFile none\n"+
		"PasswordAuthentication no\nKbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nSetEnv PATH=%s/bin:/usr/local/bin:/usr/bin:/bin\n", port, dir, keys, dir)
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.MkdirAll("/run/sshd", 0o755); err != nil {
			t.Skipf("sshd cannot run here: %v", err)
		}
	}
	cmd := exec.Command(sshd, "-D", "-e", "-f", filepath.Join(dir, "config"))
	if err := cmd.Start(); err != nil {
		t.Skipf("sshd cannot run here: %v", err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	public, err := os.ReadFile(filepath.Join(dir, "host.pub"))
	if err != nil {
		t.Fatal(err)
	}
	waitListening(t, port)
	return port, keys, fmt.Sprintf("[127.0.0.1]:%d %s", port, public)
}

func waitListening(t *testing.T, port int) {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			_ = c.Close()
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal("sshd does not answer")
		}
	}
}

func TestOverSSH(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	port, keys, known := sshServer(t)
	git, err := childproc.NewGit(childproc.GitOptions{Home: filepath.Join(w.dir, "ssh-home"), SSHDir: keys, Grace: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	w.opts.Git, w.opts.Reader = git, lsrefs.NewReader(git)
	t.Cleanup(w.opts.Reader.Close)
	user := os.Getenv("USER")
	if os.Geteuid() == 0 {
		user = "root"
	}
	w.opts.Spec.Access = core.Access{URL: fmt.Sprintf("ssh://%s@127.0.0.1:%d%s", user, port, w.up.Dir)}
	w.mustFail(core.FailHostKey)

	w.opts.Spec.Access.KnownHosts = known
	w.mustRun()
	w.mustEqual()

	w.opts.Spec.Access.URL += ".gone"
	w.mustFail(core.FailGone)

	w.opts.Spec.Access.URL = fmt.Sprintf("ssh://nobody-of-that-name@127.0.0.1:%d%s", port, w.up.Dir)
	w.mustFail(core.FailAuth)

	// Another key for the same host is somebody else.
	line := strings.Fields(known)
	other, err := os.ReadFile(filepath.Join(keys, "id_ed25519.pub"))
	if err != nil {
		t.Fatal(err)
	}
	w.opts.Spec.Access = core.Access{URL: fmt.Sprintf("ssh://%s@127.0.0.1:%d%s", user, port, w.up.Dir), KnownHosts: line[0] + " " + string(other)}
	w.mustFail(core.FailHostKey)
}
