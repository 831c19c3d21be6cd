package importer

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/spec"
)

// TestSubmodulesAreNotFollowed: what upstream says of other repositories is
// mirrored as it stands, and asked for nowhere; what other programs would take
// for an option is not mirrored.
func TestSubmodulesAreNotFollowed(t *testing.T) {
	t.Parallel()
	port, hits := canary(t)
	for text, want := range map[string]core.FailureKind{
		"[submodule \"inner\"]\n\tpath = inner\n\turl = http://127.0.0.1:" + port + "/inner.git\n": core.FailNone,
		"[submodule \"inner\"]\n\tpath = inner\n\turl = --upload-pack=touch\n":                     core.FailCorrupt,
		"[submodule \"../../x\"]\n\tpath = inner\n\turl = https://example.org/x\n":                 core.FailCorrupt,
		"[submodule \"inner\"]\n\tpath = -x\n\turl = https://example.org/x\n":                      core.FailCorrupt,
	} {
		w := newWorld(t)
		w.up.CommitFile("refs/heads/main", ".gitmodules", []byte(text))
		before := w.down.Mirrored()
		if want == core.FailNone {
			w.mustRun()
			w.mustEqual()
			continue
		}
		w.mustFail(want)
		if diff := cmp.Diff(before, w.down.Mirrored()); diff != "" {
			t.Error(diff)
		}
	}
	if n := hits.Load(); n > 0 {
		t.Errorf("the other repository was asked for %d times", n)
	}
}

// TestFilesAreNotSentInward is TestARedirectInward for the sources that follow a
// redirect, whatever the host that sends them is, and for an address in each
// spelling.
func TestFilesAreNotSentInward(t *testing.T) {
	t.Parallel()
	port, hits := canary(t)
	var to string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusFound)
	}))
	t.Cleanup(s.Close)
	w := newWorld(t)
	for _, kind := range []spec.Type{spec.Tarball, spec.Zip, spec.Gzip, spec.RawFile, spec.Bzr} {
		for _, address := range []string{
			"http://127.0.0.1:" + port + "/x", "http://[::1]:" + port + "/x", "http://[::ffff:127.0.0.1]:" + port + "/x", "http://0.0.0.0:" + port + "/x", "http://[::]:" + port + "/x",
			"http://localhost:" + port + "/x", "http://2130706433:" + port + "/x", "http://0x7f000001:" + port + "/x", "http://0177.0.0.1:" + port + "/x", "http://127.1:" + port + "/x",
			"http://[64:ff9b::7f00:1]:" + port + "/x", "http://169.254.169.254/latest", "file:///etc/passwd", "ftp://127.0.0.1:" + port + "/x", "gopher://127.0.0.1:" + port + "/x", "//127.0.0.1:" + port + "/x",
		} {
			to = address
			w.opts.Spec = spec.Spec{Name: "group/thing", Type: kind, Access: core.Access{URL: s.URL + "/thing-1.tar.gz"}}
			if report := w.run(); report.Exit == ExitDone || report.Failure.Hint == "" {
				t.Errorf("%s to %s: %+v", kind, address, report.Failure)
			}
			if kind == spec.Bzr {
				break // a program's start for each
			}
		}
	}
	if n := hits.Load(); n > 0 {
		t.Errorf("the address was reached %d times", n)
	}
}
