package gittest

import (
	"bufio"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// ServeHg serves the Mercurial repository in dir by hg serve until the test
// ends, and gives its address.
func ServeHg(t testing.TB, dir string) (address string) {
	t.Helper()
	serve := exec.Command("hg", "serve", "-R", dir, "-a", "127.0.0.1", "-p", "0", "--print-url")
	serve.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "HGRCPATH=", "HGPLAIN=1", "PYTHONUNBUFFERED=1"}
	stdout, err := serve.StdoutPipe()
	if err == nil {
		err = serve.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = serve.Process.Kill()
		_ = serve.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	return "127.0.0.1:" + u.Port()
}
