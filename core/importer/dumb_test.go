package importer

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
)

// plainFiles serves upstream's files as they lie there, and gives what puts one
// beside the others.
func (w *world) plainFiles() (put func(name, text string)) {
	w.up.Git("update-server-info")
	s := httptest.NewServer(http.StripPrefix("/thing.git", http.FileServer(http.Dir(w.up.Dir))))
	w.t.Cleanup(s.Close)
	w.opts.Spec.Access.URL = s.URL + "/thing.git"
	return func(name, text string) {
		w.t.Helper()
		path := filepath.Join(w.up.Dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			w.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			w.t.Fatal(err)
		}
	}
}

// TestPlainFiles: a server that only gives files, and a list of refs that it
// keeps in one of them.
func TestPlainFiles(t *testing.T) {
	t.Parallel()
	for _, first := range []bool{true, false} {
		w := ahead(t, first)
		w.plainFiles()
		w.mustRun()
		w.mustEqual()
	}
}

// TestPlainFilesThatLeadElsewhere: objects are looked for on no other host, and
// not on this machine, whatever the files say.
func TestPlainFilesThatLeadElsewhere(t *testing.T) {
	t.Parallel()
	port, hits := canary(t)
	secret := newWorld(t)
	for _, first := range []bool{true, false} {
		for i, alternate := range []string{
			"http://127.0.0.1:" + port + "/x.git/objects", "https://127.0.0.1:" + port + "/x.git/objects", "ftp://127.0.0.1:" + port + "/x.git/objects",
			"file://" + secret.up.Dir + "/objects", secret.up.Dir + "/objects", "//127.0.0.1:" + port + "/x.git/objects",
		} {
			for _, file := range []string{"objects/info/http-alternates", "objects/info/alternates"} {
				if first && i%4 != 0 {
					continue // one over the network and one on this machine
				}
				w := ahead(t, first)
				tip := secret.up.Commit("refs/heads/main", "secret of "+alternate+file)
				put := w.plainFiles()
				put(file, alternate+"\n")
				list, err := os.ReadFile(filepath.Join(w.up.Dir, "info", "refs"))
				if err != nil {
					t.Fatal(err)
				}
				put("info/refs", string(list)+tip+"\trefs/heads/secret\n")
				report := w.mustFail(core.FailCorrupt)
				if !strings.Contains(report.Failure.Cause, "refs/heads/secret") {
					t.Errorf("%s: %+v\n%s", alternate, report.Failure, w.out)
				}
				if diff := cmp.Diff(w.up.Mirrored(), w.down.Mirrored()); diff != "" {
					t.Errorf("%s in %s: %s", alternate, file, diff)
				}
			}
		}
	}
	if n := hits.Load(); n > 0 {
		t.Errorf("the other address was reached %d times", n)
	}
}
