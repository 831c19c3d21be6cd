package importer

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/spec"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// overHTTP is one kind of source that is served over HTTP.
type overHTTP struct {
	kind  spec.Type
	path  string // of its URL
	serve func(t *testing.T, w *world) (address string)
	// partly: there is no server for it here, so that it must fail, having
	// reached the address.
	partly bool
}

// kindsOverHTTP are the kinds that the tests of the network run.
func kindsOverHTTP() []overHTTP {
	return []overHTTP{
		{kind: spec.Git, path: "/thing.git", serve: func(t *testing.T, w *world) string {
			return gittest.NewServer(t, filepath.Join(w.dir, "up")).Listener.Addr().String()
		}},
		{kind: spec.Hg, path: "/", serve: serveHg},
		{kind: spec.Tarball, path: "/thing-1.tar", serve: func(t *testing.T, _ *world) string {
			s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write(tarball(t, "one")) }))
			t.Cleanup(s.Close)
			return s.Listener.Addr().String()
		}},
		{kind: spec.Svn, path: "/svn", partly: true, serve: serveSvnFacts},
	}
}

// serveHg serves a small repository by hg serve.
func serveHg(t *testing.T, w *world) string {
	dir := filepath.Join(w.dir, "hg")
	runTool(t, "/", "hg", "init", dir)
	runTool(t, dir, "hg", "commit", "-q", "-u", "ann", "-m", "first", "--config", "ui.allowemptycommit=1")
	return gittest.ServeHg(t, dir)
}

// serveSvnFacts answers what is asked first of a Subversion repository, and
// nothing else.
func serveSvnFacts(t *testing.T, _ *world) string {
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method != "PROPFIND" || r.Header.Get("User-Agent") != "SVN/lorry" {
			http.Error(rw, "no", http.StatusNotFound)
			return
		}
		rw.WriteHeader(http.StatusMultiStatus)
		fmt.Fprint(rw, `<D:multistatus xmlns:D="DAV:"><D:response><D:propstat><D:prop><D:version-name>7</D:version-name>`+
			`<S:repository-uuid xmlns:S="http://subversion.tigris.org/xmlns/dav/">u-1</S:repository-uuid></D:prop></D:propstat></D:response></D:multistatus>`)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// spy puts programs before the real ones that write down what they were given.
func (w *world) spy(t *testing.T, names ...string) (seen string) {
	t.Helper()
	dir := filepath.Join(w.dir, "spy")
	seen = filepath.Join(w.dir, "seen")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		gittest.Require(t, name)
		real, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		script := "#!/bin/sh\n{ echo \"$0 $*\"; /usr/bin/env; cat /proc/self/fd/[4-9] 2>/dev/null; } >>" + seen + " 2>/dev/null </dev/null\nexec " + real + " \"$@\"\n"
		script = strings.Replace(script, " cat /proc/self/fd/[4-9] 2>/dev/null;", "", 1)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	git, err := childproc.NewGit(childproc.GitOptions{
		Home: filepath.Join(w.dir, "home"), Path: dir + ":" + os.Getenv("PATH"), Grace: time.Second, LowSpeedTime: 2 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.opts.Git, w.opts.Reader = git, lsrefs.NewReader(git)
	t.Cleanup(w.opts.Reader.Close)
	return seen
}

// TestEverythingGoesThroughTheProxy reaches each kind of upstream, and the
// Downstream Host, by names that the proxy alone knows. Without its password
// nothing is reached; with it, no program is told the password.
func TestEverythingGoesThroughTheProxy(t *testing.T) {
	t.Parallel()
	for _, kind := range kindsOverHTTP() {
		t.Run(string(kind.kind), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			seen := w.spy(t, "git", "hg")
			proxy := gittest.NewProxy(t, kind.serve(t, w))
			w.opts.Spec = spec.Spec{Name: "group/thing", Type: kind.kind, Access: core.Access{URL: "http://up.example.test" + kind.path}}
			w.opts.Request.Proxy = &protocol.Proxy{HTTP: proxy.URL, HTTPS: proxy.URL, Username: proxy.User, Password: "wrong-s3cret"}
			if cause := w.mustFail(core.FailAuth).Failure.Cause; !strings.HasPrefix(cause, "proxy: ") {
				t.Errorf("got %q", cause)
			}
			w.opts.Request.Proxy.Password = proxy.Password
			if report := w.run(); (report.Exit == ExitDone) == kind.partly {
				t.Fatalf("exit %d: %+v\n%s", report.Exit, report.Failure, w.out)
			}
			through := 0
			for _, request := range proxy.Seen() {
				if strings.HasSuffix(request, " up.example.test") || strings.HasSuffix(request, " up.example.test:80") {
					through++
				}
			}
			if through < 2 {
				t.Errorf("the proxy saw %v", proxy.Seen())
			}
			text, err := os.ReadFile(seen)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text)+w.out.String(), proxy.Password) {
				t.Error("the proxy's password was told to a program")
			}
		})
	}
}

// TestPushThroughTheProxy reaches both sides over https, whose certificates an
// authority of the operator's signed.
func TestPushThroughTheProxy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.down = gittest.NewRepo(t, filepath.Join(w.dir, "up", "down.git"))
	server := gittest.NewTLSServer(t, filepath.Join(w.dir, "up"))
	proxy := gittest.NewProxy(t, server.Listener.Addr().String())
	w.opts.Spec.Access.URL = "https://example.com/thing.git"
	w.opts.Request.Push = &protocol.Access{URL: "https://example.com/down.git"}
	w.opts.Request.Proxy = &protocol.Proxy{HTTPS: proxy.URL, Username: proxy.User, Password: proxy.Password}
	w.mustFail(core.FailTLS)
	file := filepath.Join(w.dir, "own.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	git, err := childproc.NewGit(childproc.GitOptions{Home: filepath.Join(w.dir, "home2"), CAFile: file})
	if err != nil {
		t.Fatal(err)
	}
	w.opts.Git, w.opts.Route.CAFile = git, file
	w.mustRun()
	w.mustEqual()
	for _, request := range proxy.Seen() {
		if request != "CONNECT example.com:443" {
			t.Errorf("the proxy saw %q", request)
		}
	}
	// A host that is named is reached without the proxy: there is none here.
	w.opts.Request.Proxy.NoProxy = "other.test, example.com"
	before := len(proxy.Seen())
	w.opts.Route.Resolver = names{}
	w.mustFail(core.FailNetwork)
	if len(proxy.Seen()) != before {
		t.Error("no_proxy was not heeded")
	}
}
