package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/area"
	"github.com/lorry-controller/lorry-controller/core/importer/workcopy"
	"github.com/lorry-controller/lorry-controller/core/importer/workcopy/workcopytest"
	"github.com/lorry-controller/lorry-controller/core/spec"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newest is the youngest date of a member in these tests.
const newest = 1_600_000_000

type member struct {
	name, text string
	kind       byte
	mode       int64
}

func tarOf(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i, m := range members {
		h := &tar.Header{Name: m.name, Typeflag: m.kind, Mode: m.mode, ModTime: time.Unix(newest-int64(i), 0), Format: tar.FormatGNU}
		switch m.kind {
		case 0, tar.TypeReg:
			h.Size = int64(len(m.text))
		default:
			h.Linkname = m.text
		}
		if strings.HasPrefix(m.name, "pax/") {
			h.Format = tar.FormatPAX
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := io.WriteString(w, m.text); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gz(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write(data)
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// mirror is one archive on a server and its working area.
type mirror struct {
	t       *testing.T
	source  *Source
	area    *area.Area
	server  *httptest.Server
	data    atomic.Pointer[[]byte]
	header  http.Header
	gets    atomic.Int32
	out     bytes.Buffer
	git     *gittest.Repo
	modTime time.Time
}

func newMirror(t *testing.T, name string, data []byte) *mirror {
	t.Helper()
	gittest.Require(t, "git")
	m := &mirror{t: t, header: http.Header{}, modTime: time.Unix(newest+1000, 0)}
	m.data.Store(&data)
	m.server = httptest.NewServer(http.HandlerFunc(m.serve))
	t.Cleanup(m.server.Close)
	c := workcopytest.New(t, filepath.Join(t.TempDir(), "work"), spec.Spec{Type: spec.Tarball}, &m.out)
	m.area = c.Area
	m.source = &Source{Copy: c, Kind: spec.Tarball, Access: core.Access{URL: m.server.URL + "/dist/" + name}, Env: c.Repo.Git.ToolEnv()}
	m.git = gittest.OpenRepo(t, c.Repo.Dir)
	return m
}

func (m *mirror) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		m.gets.Add(1)
	}
	for key, values := range m.header {
		w.Header()[key] = values
	}
	data := *m.data.Load()
	w.Header().Set("ETag", fmt.Sprintf(`"%d-%x"`, len(data), len(data)*7))
	http.ServeContent(w, r, "", m.modTime, bytes.NewReader(data))
}

func (m *mirror) update() (workcopy.Result, error) {
	m.t.Helper()
	listing, err := m.source.List(m.t.Context())
	if err != nil {
		return workcopy.Result{}, err
	}
	return m.source.Update(m.t.Context(), listing)
}

func (m *mirror) mustUpdate() workcopy.Result {
	m.t.Helper()
	res, err := m.update()
	if err != nil {
		m.t.Fatalf("%v\n%s", err, &m.out)
	}
	m.git.Fsck()
	return res
}

// files lists what a ref holds, as "mode path" with the contents of links.
func (m *mirror) files(ref string) []string {
	m.t.Helper()
	var list []string
	for line := range strings.SplitSeq(m.git.Git("-c", "core.quotePath=false", "ls-tree", "-r", "--full-tree", ref), "\n") {
		left, path, _ := strings.Cut(line, "\t")
		list = append(list, strings.Fields(left)[0]+" "+path)
	}
	return list
}

func TestTarInEveryCompression(t *testing.T) {
	t.Parallel()
	long := "pkg-1.0/" + strings.Repeat("long/", 60) + "name"
	plainTar := tarOf(t,
		member{name: "pkg-1.0/", kind: tar.TypeDir, mode: 0o755},
		member{name: "./pkg-1.0/README", text: "read me\n", mode: 0o644},
		member{name: "pkg-1.0/configure", text: "#!/bin/sh\n", mode: 0o755},
		member{name: long, text: "x", mode: 0o600},
		member{name: "pkg-1.0/link", text: "../elsewhere", kind: tar.TypeSymlink},
		member{name: "pkg-1.0/hard", text: "pkg-1.0/configure", kind: tar.TypeLink},
		member{name: "pkg-1.0/pipe", kind: tar.TypeFifo},
		member{name: "pkg-1.0/ümlaut and \"quote\"\n", text: "y", mode: 0o644},
	)
	want := []string{
		"100644 README", "100755 configure", "100755 hard", "120000 link",
		"100644 " + strings.TrimPrefix(long, "pkg-1.0/"), `100644 "ümlaut and \"quote\"\n"`,
	}
	first := atomic.Pointer[string]{}
	for _, c := range []struct{ suffix, tool, flags string }{
		{"", "", ""},
		{".gz", "", ""},
		{".bz2", "bzip2", "-c"},
		{".xz", "xz", "-c"},
		{".lzma", "xz", "-c --format=lzma"},
		{".zst", "zstd", "-cq"},
		{".lz", "lzip", "-c"},
		{".Z", "compress", "-c"},
	} {
		t.Run("tar"+c.suffix, func(t *testing.T) {
			t.Parallel()
			data := plainTar
			switch {
			case c.suffix == ".gz":
				data = gz(t, data)
			case c.tool != "":
				gittest.Require(t, c.tool)
				cmd := exec.Command(c.tool, strings.Fields(c.flags)...)
				cmd.Stdin = bytes.NewReader(data)
				packed, err := cmd.Output()
				if err != nil {
					t.Fatal(err)
				}
				data = packed
			}
			m := newMirror(t, "pkg-1.0.tar"+c.suffix, data)
			res := m.mustUpdate()
			if diff := cmp.Diff(want, m.files("refs/tags/pkg-1.0")); diff != "" {
				t.Error(diff)
			}
			if res.Refs.Head != master || res.Changed != 2 || !strings.Contains(m.out.String(), "pipe") {
				t.Errorf("got %+v\n%s", res, &m.out)
			}
			got := m.git.Git("log", "-1", "--format=%an <%ae> %at %ct %s", master)
			if want := identity + fmt.Sprintf(" %d %d Imported from pkg-1.0.tar%s.", newest, newest, c.suffix); got != want {
				t.Errorf("want %q, got %q", want, got)
			}
			if got := m.git.Git("cat-file", "blob", master+":link"); got != "../elsewhere" {
				t.Errorf("link to %q", got)
			}
			// The compression does not change the tree.
			tree := m.git.Git("rev-parse", master+"^{tree}")
			if old := first.Swap(&tree); old != nil && *old != tree {
				t.Errorf("trees %s and %s", *old, tree)
			}
		})
	}
}

func TestPaxNames(t *testing.T) {
	t.Parallel()
	m := newMirror(t, "p.tgz", gz(t, tarOf(t,
		member{name: "pax/a name with blanks " + strings.Repeat("x", 200), text: "1"},
		member{name: "pax/grüße", text: "2"},
	)))
	m.mustUpdate()
	if diff := cmp.Diff([]string{"100644 a name with blanks " + strings.Repeat("x", 200), "100644 grüße"}, m.files(master)); diff != "" {
		t.Error(diff)
	}
}

func zipOf(t testing.TB, fill func(add func(name, text string, unix uint32))) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	fill(func(name, text string, unix uint32) {
		h := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Unix(newest, 0).UTC()}
		if unix != 0 {
			h.CreatorVersion, h.ExternalAttrs = madeOnUnix<<8, unix<<16
		}
		f, err := w.CreateHeader(h)
		if err == nil && text != "" {
			_, err = io.WriteString(f, text)
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestZip(t *testing.T) {
	t.Parallel()
	m := newMirror(t, "docs-4.5.zip", zipOf(t, func(add func(string, string, uint32)) {
		add("docs/", "", typeDir|0o755)
		add("docs/run", "#!", typeFile|0o755)
		add("docs/text", "text", typeFile|0o644)
		add("docs/link", "text", typeLink|0o777)
		add(`docs\dos.txt`, "by DOS", 0)
	}))
	m.source.Kind = spec.Zip
	m.mustUpdate()
	if diff := cmp.Diff([]string{"100644 dos.txt", "120000 link", "100755 run", "100644 text"}, m.files("refs/tags/docs-4.5")); diff != "" {
		t.Error(diff)
	}
	if got := m.git.Git("log", "-1", "--format=%ct", master); got != fmt.Sprint(newest) {
		t.Errorf("date %s", got)
	}
}

func TestGzipOfOneFile(t *testing.T) {
	t.Parallel()
	m := newMirror(t, "font-2012.txt.gz", gz(t, []byte("one file\n")))
	m.source.Kind = spec.Gzip
	m.mustUpdate()
	if diff := cmp.Diff([]string{"100644 font-2012.txt"}, m.files("refs/tags/font-2012.txt")); diff != "" {
		t.Error(diff)
	}
	if got := m.git.Git("log", "-1", "--format=%ct", master); got != fmt.Sprint(m.modTime.Unix()) {
		t.Errorf("the date is %s, not that of Last-Modified", got)
	}
}

func TestVersionsLieOnTopOfEachOther(t *testing.T) {
	t.Parallel()
	m := newMirror(t, "pkg-1.0.tar.gz", gz(t, tarOf(t, member{name: "pkg-1.0/a", text: "1"}, member{name: "pkg-1.0/gone", text: "1"})))
	m.mustUpdate()
	one := m.git.Mirrored()
	// The same again: no download, and the same digest.
	before, err := m.source.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	res := m.mustUpdate()
	if m.gets.Load() != 1 || res.Changed != 0 || before.Digest("") != res.Upstream.Digest("") {
		t.Errorf("%d downloads, %+v", m.gets.Load(), res)
	}
	// Another date, the same contents: no commit.
	m.modTime = m.modTime.Add(time.Hour)
	if res := m.mustUpdate(); m.gets.Load() != 2 || res.Changed != 0 {
		t.Errorf("%d downloads, %+v", m.gets.Load(), res)
	}
	// A record that was lost costs a download and nothing else.
	if err := os.Remove(filepath.Join(m.source.Repo.Dir, recordName)); err != nil {
		t.Fatal(err)
	}
	if res := m.mustUpdate(); m.gets.Load() != 3 || res.Changed != 0 {
		t.Errorf("%d downloads, %+v", m.gets.Load(), res)
	}
	// The next version.
	data := gz(t, tarOf(t, member{name: "pkg-1.1/a", text: "2"}, member{name: "pkg-1.1/new", text: "2"}))
	m.data.Store(&data)
	m.source.Access.URL = strings.Replace(m.source.Access.URL, "1.0", "1.1", 1)
	if res := m.mustUpdate(); res.Changed != 2 {
		t.Errorf("got %+v", res)
	}
	if got := m.git.Git("rev-parse", master+"^"); got != one[master] {
		t.Errorf("the second version lies on %s", got)
	}
	two := m.git.Mirrored()
	if two["refs/tags/pkg-1.0"] != one["refs/tags/pkg-1.0"] || two["refs/tags/pkg-1.1"] == "" {
		t.Errorf("got %v", two)
	}
	if diff := cmp.Diff([]string{"100644 a", "100644 new"}, m.files(master)); diff != "" {
		t.Error(diff)
	}
	// The same name with other contents moves the tag; the old one is kept.
	data = gz(t, tarOf(t, member{name: "pkg-1.1/a", text: "silently replaced"}))
	m.data.Store(&data)
	m.mustUpdate()
	kept := m.git.Refs("refs/lorry/kept/tags")
	if three := m.git.Mirrored(); three["refs/tags/pkg-1.1"] == two["refs/tags/pkg-1.1"] || len(kept) != 1 {
		t.Errorf("got %v, kept %v", three, kept)
	}
	if left := m.git.Refs("refs/lorry/import"); len(left) != 0 {
		t.Errorf("left %v", left)
	}
}

func TestImportIsDeterministic(t *testing.T) {
	t.Parallel()
	data := gz(t, tarOf(t, member{name: "p/a", text: "1"}, member{name: "p/b", text: "2"}))
	one, two := newMirror(t, "p-1.tar.gz", data), newMirror(t, "p-1.tar.gz", data)
	one.mustUpdate()
	two.mustUpdate()
	if diff := cmp.Diff(one.git.Mirrored(), two.git.Mirrored()); diff != "" {
		t.Error(diff)
	}
}
