package hgsource

import (
	"crypto/tls"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/workcopy/workcopytest"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// TestTakenAway: changesets that upstream has no more go here, too, with the
// tags that they made, and those that were mirrored are kept. Subrepositories
// are not converted, which is said.
func TestTakenAway(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	m.hg("init", filepath.Join(m.dir, "inner"))
	m.write("inner/deep", "x\n")
	m.hg("-R", "inner", "commit", "-q", "-A", "-u", "ann", "-m", "inner")
	m.write(".hgsub", "inner = https://hg.example.org/inner\n")
	m.write("file", "one\n")
	m.commit("ann", "first")
	m.mustUpdate(m.source)
	if got := m.git.Git("ls-tree", "-r", "--name-only", master); got != ".hgsub\n.hgsubstate\nfile" || !strings.Contains(m.out.String(), "warning: subrepositories are not converted") {
		t.Errorf("got %q\n%s", got, &m.out)
	}
	first := m.git.Mirrored()
	m.hg("tag", "-u", "ann", "-d", "1500000100 0", "v1")
	m.write("file", "two\n")
	m.commit("ann", "second")
	m.mustUpdate(m.source)
	second := m.git.Mirrored()
	if len(second) != 2 || second[master] == first[master] {
		t.Fatalf("got %v", second)
	}
	m.hg("phase", "-q", "-f", "-s", "1") // as stripped for all others
	if res := m.mustUpdate(m.source); res.Changed != 2 || !strings.Contains(m.out.String(), ".. upstream has the heads ") {
		t.Errorf("got %+v\n%s", res, &m.out)
	}
	if diff := cmp.Diff(first, m.git.Mirrored()); diff != "" {
		t.Error(diff)
	}
	if kept := m.git.Refs("refs/lorry/kept/heads"); len(kept) != 1 {
		t.Errorf("kept %v", kept)
	}
	if strings.Count(m.out.String(), ".. doing initial clone") != 2 {
		t.Errorf("clones were made without need:\n%s", &m.out)
	}
}

// TestFilesOutsideOfHistory: what no clone holds is refused, told in words that
// help.
func TestFilesOutsideOfHistory(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	m.write("big", "x\n")
	m.write(".hg/hgrc", "[extensions]\nlargefiles =\n")
	m.hg("add", "-q", "--large", "big")
	m.commit("ann", "large")
	for _, address := range []string{m.dir, "http://" + gittest.ServeHg(t, m.dir)} {
		m.source.Access.URL = address
		_, err := m.update(m.source)
		var failed *gitfail.Error
		if !errors.As(err, &failed) || failed.Kind != core.FailSpec || !strings.Contains(failed.Cause, "largefiles") || !strings.Contains(failed.Hint, "lfconvert") {
			t.Errorf("%s: got %v", address, err)
		}
	}
}

// TestOwnAuthority clones over https from hg serve behind a certificate that an
// authority of the operator's own has signed.
func TestOwnAuthority(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	m.ordinary()
	m.hg("bookmark", "-q", "-r", "stable", "feature/x")
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: gittest.ServeHg(t, m.dir)})
	proxy.Transport = &http.Transport{DisableKeepAlives: true}
	front := httptest.NewUnstartedServer(proxy)
	certificate := workcopytest.SelfSigned(t, "localhost") // hg compares names alone
	front.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	front.Config.ErrorLog = log.New(io.Discard, "", 0)
	front.StartTLS()
	t.Cleanup(front.Close)
	own := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}))
	m.source.Access.URL, m.source.Bookmarks = strings.Replace(front.URL, "127.0.0.1", "localhost", 1), true
	var failed *gitfail.Error
	if _, err := m.update(m.source); !errors.As(err, &failed) || failed.Kind != core.FailTLS {
		t.Errorf("got %v", err)
	}
	m.source.Access.Authorities = own
	m.mustUpdate(m.source)
	m.hg("--config", "extensions.strip=", "strip", "-q", "--no-backup", "tip")
	m.mustUpdate(m.source)
	refs := m.git.Mirrored()
	if refs["refs/heads/feature/x"] == "" || refs["refs/heads/feature/x"] != refs["refs/heads/stable"] || refs["refs/tags/v_2"] != "" || refs["refs/tags/v1.0"] == "" {
		t.Errorf("got %v", refs)
	}
	if _, err := os.Stat(filepath.Join(m.source.Area.Path(cloneName), ".hg")); err != nil {
		t.Error(err)
	}
}
