package svnsource

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// TestPassword serves the repository with a password by svnserve.
func TestPassword(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	m.seed()
	for name, text := range map[string]string{
		"svnserve.conf": "[general]\nanon-access = none\nauth-access = read\npassword-db = passwd\n", "passwd": "[users]\nali = open sesame\n",
	} {
		if err := os.WriteFile(filepath.Join(m.dir, "conf", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m.source.Access.URL = serve(t, m.dir)
	_, err := m.source.List(t.Context())
	m.wantFailure(err, core.FailAuth)
	m.source.Access.Username, m.source.Access.Secret = "ali", core.NewSecret("open sesame")
	m.mustUpdate(m.source)
	if got := m.git.Git("show", master+":file"); got != "two" {
		t.Errorf("got %q", got)
	}
	kept, _ := exec.Command("grep", "-r", "open sesame", m.source.Area.Dir, m.source.Repo.Git.Home()).Output()
	if len(kept) > 0 {
		t.Errorf("the password was kept: %s", kept)
	}
	m.source.Access.Secret = core.NewSecret("wrong word")
	m.source.Repo.Dir += "-other"
	_, err = m.source.List(t.Context())
	m.wantFailure(err, core.FailAuth)
	if strings.Contains(err.Error(), "wrong word") {
		t.Errorf("the error tells the password: %v", err)
	}
}

// serve runs svnserve and gives the URL.
func serve(t *testing.T, dir string) string {
	t.Helper()
	address := freeAddress(t)
	host, port, _ := net.SplitHostPort(address)
	cmd := exec.Command("svnserve", "-d", "--foreground", "--listen-host="+host, "--listen-port="+port, "-r", filepath.Dir(dir))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	awaitServer(t, address)
	return "svn://" + address + "/" + filepath.Base(dir)
}

// freeAddress is an address on loopback where nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// awaitServer waits until somebody listens there.
func awaitServer(t *testing.T, address string) {
	t.Helper()
	deadline, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if c, err := net.Dial("tcp", address); err == nil {
			_ = c.Close()
			return
		}
		select {
		case <-tick.C:
		case <-deadline.Done():
			t.Fatal("the server does not answer")
		}
	}
}
