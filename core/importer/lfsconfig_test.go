package importer

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
)

// elsewhere answers for the server of large files, and holds that it gets no
// credential. It counts what it is asked.
func elsewhere(t *testing.T, w *largeWorld) (address string, asked *atomic.Int32) {
	t.Helper()
	asked = new(atomic.Int32)
	listener, err := net.Listen("tcp", "127.0.0.2:0") // another host
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		for name := range r.Header {
			if strings.Contains(name, "Auth") || strings.Contains(name, "Token") || strings.Contains(name, "Cookie") {
				t.Errorf("%s came with %s", r.URL.Path, name)
			}
		}
		copied := r.Clone(r.Context())
		copied.SetBasicAuth("ali", "opensesame")
		w.server.ServeHTTP(out, copied)
	}))
	_ = server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return server.URL, asked
}

// TestUpstreamNamesAnotherServer: upstream's .lfsconfig is for upstream's word
// alone, leads nowhere that upstream could not be itself, and takes no
// credential along.
func TestUpstreamNamesAnotherServer(t *testing.T) {
	t.Parallel()
	t.Run("its other settings count for nothing", func(t *testing.T) {
		t.Parallel()
		w := newLargeWorld(t)
		address, asked := elsewhere(t, w)
		w.up.CommitFile("refs/heads/main", ".lfsconfig", []byte("[lfs]\n\tpushurl = "+address+"\n\tconcurrenttransfers = 1\n[lfs \"customtransfer.evil\"]\n\tpath = /bin/sh\n"+
			"[remote \"origin\"]\n\tlfsurl = "+address+"\n[include]\n\tpath = /etc/passwd\n[core]\n\tsshCommand = touch canary\n"))
		w.add("sub/a.bin", "some content")
		w.mustRun()
		w.mustHave()
		if n := asked.Load(); n > 0 {
			t.Errorf("another server was asked %d times", n)
		}
	})
	for name, value := range map[string]string{
		"file":    "file:///etc",
		"ssh":     "ssh://-oProxyCommand=touch%20canary/x",
		"ext":     "ext::sh -c touch% canary",
		"option":  "--upload-pack=touch canary",
		"no host": "https:///x",
		"nothing": "\"\"",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newLargeWorld(t)
			w.up.CommitFile("refs/heads/main", ".lfsconfig", []byte("[lfs]\n\turl = "+value+"\n"))
			w.add("sub/a.bin", "some content")
			w.mustRun() // from where git-lfs would look without the file
			w.mustHave()
		})
	}
	t.Run("inside", func(t *testing.T) {
		t.Parallel()
		w := newLargeWorld(t)
		address, asked := elsewhere(t, w)
		w.up.CommitFile("refs/heads/main", ".lfsconfig", []byte("[lfs]\n\turl = "+address+"/"+upName+"/info/lfs\n"))
		w.add("sub/a.bin", "some content")
		before := w.down.Mirrored()
		for _, deny := range []bool{false, true} {
			w.opts.Request.DenyPrivateAddresses, w.opts.Request.AllowAddresses = deny, []string{"127.0.0.1"}
			report := w.run()
			if report.Failure.Kind == core.FailNone || asked.Load() > 0 {
				t.Errorf("asked %d times, %+v", asked.Load(), report.Failure)
			}
			if strings.Contains(report.Failure.Hint, "deny-private-addresses is set") && !deny || !strings.Contains(report.Failure.Hint, "allow-addresses") {
				t.Errorf("with deny-private-addresses %v: the hint is %q", deny, report.Failure.Hint)
			}
			if diff := cmp.Diff(before, w.down.Mirrored()); diff != "" {
				t.Error(diff)
			}
		}
		// An operator may let it through; the credential stays here.
		w.opts.Request.AllowAddresses = []string{"127.0.0.1", "127.0.0.2"}
		w.mustRun()
		w.mustHave()
		if asked.Load() == 0 {
			t.Error("the other server was not asked")
		}
	})
}

// TestTransfersThatAreRedirected: a download that is sent on takes neither the
// credential nor the header that was for the first server, and a request of the
// batch API is not sent on at all.
func TestTransfersThatAreRedirected(t *testing.T) {
	t.Parallel()
	t.Run("download", func(t *testing.T) {
		t.Parallel()
		w := newLargeWorld(t)
		address, asked := elsewhere(t, w)
		w.server.Token = "one-transfer"
		w.server.Trouble = func(out http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/info/lfs/") || strings.HasPrefix(r.Host, "127.0.0.2") {
				return false
			}
			http.Redirect(out, r, address+r.URL.Path, http.StatusFound)
			return true
		}
		w.add("sub/a.bin", "some content")
		_ = w.run()
		if asked.Load() == 0 {
			t.Error("the download was not sent on")
		}
	})
	for name, hint := range map[string]string{upName: "into the specification", downName: "Downstream Host's address"} {
		t.Run("batch of "+name, func(t *testing.T) {
			t.Parallel()
			w := newLargeWorld(t)
			address, asked := elsewhere(t, w)
			w.server.Trouble = func(out http.ResponseWriter, r *http.Request) bool {
				if !strings.HasSuffix(r.URL.Path, "/batch") || !strings.HasPrefix(r.URL.Path, "/"+name+"/") {
					return false
				}
				http.Redirect(out, r, address+r.URL.Path, http.StatusTemporaryRedirect)
				return true
			}
			w.add("sub/a.bin", "some content")
			failure := w.mustFail(core.FailGone).Failure
			if n := asked.Load(); n > 0 {
				t.Errorf("another server was asked %d times", n)
			}
			if !strings.Contains(failure.Cause, "moved to "+address) || !strings.Contains(failure.Hint, hint) {
				t.Errorf("got %+v", failure)
			}
		})
	}
}
