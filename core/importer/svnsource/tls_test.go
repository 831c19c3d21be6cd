package svnsource

import (
	"crypto/tls"
	"encoding/pem"
	"io"
	"log"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/workcopy/workcopytest"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// apache serves the repositories below a directory by Apache's mod_dav_svn, with
// more directives for the location.
func apache(t *testing.T, parent string, more ...string) string {
	t.Helper()
	const modules = "/usr/lib/apache2/modules/"
	if _, err := os.Stat(modules + "mod_dav_svn.so"); err != nil {
		gittest.Require(t, "mod_dav_svn")
	}
	gittest.Require(t, "/usr/sbin/apache2")
	dir := t.TempDir()
	address := freeAddress(t)
	var b strings.Builder
	b.WriteString("ServerRoot " + dir + "\nServerName localhost\nListen " + address + "\nPidFile " + dir + "/pid\nErrorLog " + dir + "/log\nMutex pthread\n")
	for _, m := range []string{"mpm_event", "authz_core", "dav", "dav_svn", "authz_svn"} {
		b.WriteString("LoadModule " + m + "_module " + modules + "mod_" + m + ".so\n")
	}
	b.WriteString("<Location /svn>\nDAV svn\nSVNParentPath " + parent + "\nRequire all granted\n" + strings.Join(more, "\n") + "\n</Location>\n")
	if os.Geteuid() == 0 {
		b.WriteString("User nobody\nGroup nogroup\n")
		// The test's own directories, which others may not read.
		for _, d := range []string{parent, filepath.Dir(parent)} {
			if err := os.Chmod(d, 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	config := filepath.Join(dir, "httpd.conf")
	if err := os.WriteFile(config, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/usr/sbin/apache2", "-f", config, "-DFOREGROUND")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	})
	awaitServer(t, address)
	return "http://" + address + "/svn/"
}

// TestOwnAuthority fetches over https from a server whose certificate an
// authority of the operator's own has signed.
func TestOwnAuthority(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	m.seed()
	behind, err := url.Parse(apache(t, filepath.Dir(m.dir)))
	if err != nil {
		t.Fatal(err)
	}
	behind.Path = ""
	certificate := workcopytest.SelfSigned(t, "localhost")
	front := httptest.NewUnstartedServer(httputil.NewSingleHostReverseProxy(behind))
	front.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	front.Config.ErrorLog = log.New(io.Discard, "", 0)
	front.StartTLS()
	t.Cleanup(front.Close)
	own := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})
	another := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: workcopytest.SelfSigned(t, "another").Certificate[0]})
	file := filepath.Join(t.TempDir(), "own.pem")
	if err := os.WriteFile(file, append(another, own...), 0o644); err != nil {
		t.Fatal(err)
	}
	m.source.Access.URL = strings.Replace(front.URL, "127.0.0.1", "localhost", 1) + "/svn/" + filepath.Base(m.dir)
	_, err = m.source.List(t.Context())
	m.wantFailure(err, core.FailTLS)
	err = m.source.fetchOnly(t.Context(), record{URL: m.source.Access.URL, Layout: m.source.layout()}, info{})
	if err == nil {
		t.Error("git svn went on with a certificate that nobody knows")
	}

	git, err := childproc.NewGit(childproc.GitOptions{Home: filepath.Join(t.TempDir(), "home"), Grace: time.Second, CAFile: file})
	if err != nil {
		t.Fatal(err)
	}
	m.source.Repo.Git, m.source.Route.CAFile = git, file
	m.mustUpdate(m.source)
	if got := m.git.Git("show", master+":file"); got != "two" {
		t.Errorf("got %q", got)
	}
}
