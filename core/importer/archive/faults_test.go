package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// TestBadArchives: each failure has its kind and changes nothing.
func TestBadArchives(t *testing.T) {
	t.Parallel()
	good := gz(t, tarOf(t, member{name: "p/a", text: strings.Repeat("x", 5000)}, member{name: "p/b", text: "1"}))
	bomb := gz(t, tarOf(t, member{name: "p/zeros", text: strings.Repeat("\x00", 300_000)}))
	for _, test := range []struct {
		name   string
		data   []byte
		change func(*mirror)
		kind   core.FailureKind
		cause  string
	}{
		{"truncated", good[:len(good)-20], nil, core.FailCorrupt, "ends too early"},
		{"checksum of gzip", append(good[:len(good)-6:len(good)-6], "\x00\x00\x00\x00\x00\x00"...), nil, core.FailCorrupt, "checksum"},
		{"truncated tar", tarOf(t, member{name: "p/a", text: strings.Repeat("x", 5000)})[:3000], nil, core.FailCorrupt, "ends too early"},
		{"tar without its end", tarOf(t, member{name: "p/a", text: "x"})[:1024], nil, core.FailCorrupt, "ends too early"},
		{"page", []byte("<!DOCTYPE html>\n<html><body>log in</body></html>"), func(m *mirror) { m.header.Set("Content-Type", "application/gzip") }, core.FailNotGit, "page"},
		{"page by type", good, func(m *mirror) { m.header.Set("Content-Type", "text/html; charset=utf-8") }, core.FailNotGit, "text/html"},
		{"text", []byte(strings.Repeat("some text\n", 200)), nil, core.FailNotGit, "no archive"},
		{"compressed text", gz(t, []byte(strings.Repeat("some text\n", 200))), nil, core.FailNotGit, ""},
		{"empty file", nil, nil, core.FailEmpty, "empty"},
		{"empty archive", tarOf(t), nil, core.FailEmpty, "no file"},
		{"directories alone", tarOf(t, member{name: "p/", kind: tar.TypeDir}), nil, core.FailEmpty, "no file"},
		{"parent", tarOf(t, member{name: "p/../../evil", text: "x"}), nil, core.FailCorrupt, "leads out"},
		{"absolute", tarOf(t, member{name: "/etc/passwd", text: "x"}), nil, core.FailCorrupt, "absolute"},
		{"repository inside", tarOf(t, member{name: "p/.git/config", text: "x"}), nil, core.FailCorrupt, "repository"},
		{"repository in other letters", tarOf(t, member{name: "p/.G\u200cIt/config", text: "x"}), nil, core.FailCorrupt, "repository"},
		{"repository by a link", tarOf(t, member{name: "p/.git", text: "/etc", kind: tar.TypeSymlink}), nil, core.FailCorrupt, "repository"},
		{"link to nothing", tarOf(t, member{name: "p/x", text: "p/none", kind: tar.TypeLink}), nil, core.FailCorrupt, "not there"},
		{"a file and a directory", tarOf(t, member{name: "p/x", text: "1"}, member{name: "p/x/y/z", text: "2"}), nil, core.FailCorrupt, "a file and a directory"},
		{"bomb", bomb, func(m *mirror) { m.source.Limits.Unpacked = 100_000 }, core.FailSpec, "too large"},
		{"too many members", good, func(m *mirror) { m.source.Limits.Members = 1 }, core.FailSpec, "too large"},
		{"too long", good, func(m *mirror) { m.source.Limits.Download = 10 }, core.FailSpec, "too large"},
		{"zip that leads out", zipOf(t, func(add func(string, string, uint32)) { add("../evil", "x", 0) }), nil, core.FailCorrupt, "leads out"},
		{"damaged zip", damagedZip(t), nil, core.FailCorrupt, "checksum"},
		{"other checksum", good, func(m *mirror) { m.source.SHA256 = strings.Repeat("0", 64) }, core.FailCorrupt, "sha256"},
		{"404", good, func(m *mirror) { m.source.Access.URL = gittest.Status(m.t, 404).URL + "/x.tar.gz" }, core.FailGone, "404"},
		{"401", good, func(m *mirror) { m.source.Access.URL = gittest.Status(m.t, 401).URL + "/x.tar.gz" }, core.FailAuth, "401"},
		{"ftp", good, func(m *mirror) { m.source.Access.URL = "ftp://example.com/x.tar.gz" }, core.FailSpec, "not supported"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := newMirror(t, "p-1.tar.gz", gz(t, tarOf(t, member{name: "p/a", text: "good"})))
			m.mustUpdate()
			before := m.git.Refs()
			m.data.Store(&test.data)
			m.modTime = m.modTime.Add(time.Hour)
			m.source.Limits = DefaultLimits()
			if test.change != nil {
				test.change(m)
			}
			_, err := m.update()
			var failure *gitfail.Error
			if !errors.As(err, &failure) || failure.Kind != test.kind || !strings.Contains(err.Error(), test.cause) || failure.Hint == "" {
				t.Fatalf("want %s with %q, got %#v", test.kind, test.cause, err)
			}
			if diff := cmp.Diff(before, m.git.Refs()); diff != "" {
				t.Error(diff)
			}
			if left, _ := filepath.Glob(filepath.Join(m.source.Repo.Dir, "fast_import_crash*")); len(left) > 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}

func damagedZip(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.CreateHeader(&zip.FileHeader{Name: "a", Method: zip.Store})
	if err == nil {
		_, err = io.WriteString(f, "some contents")
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Replace(b.Bytes(), []byte("some contents"), []byte("same contents"), 1)
}

func TestFileOnThisMachine(t *testing.T) {
	t.Parallel()
	m := newMirror(t, "unused", nil)
	path := filepath.Join(t.TempDir(), "local-2.0.tar")
	if err := os.WriteFile(path, tarOf(t, member{name: "a", text: "1"}), 0o644); err != nil {
		t.Fatal(err)
	}
	m.source.Access.URL, m.source.Path = path, path
	if res := m.mustUpdate(); res.Changed != 2 || m.git.Refs()["refs/tags/local-2.0"] == "" {
		t.Errorf("got %+v", res)
	}
	if res := m.mustUpdate(); res.Changed != 0 {
		t.Errorf("got %+v", res)
	}
}

func TestListWithoutFactsHasNoDigest(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	l, err := (&Source{Access: core.Access{URL: s.URL + "/a.tar"}}).List(t.Context())
	if diff := cmp.Diff(lsrefs.Listing{}, l); diff != "" || err != nil {
		t.Errorf("%v: %s", err, diff)
	}
}
