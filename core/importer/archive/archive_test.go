package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
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
	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/area"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/importer/policy"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
	"github.com/lorry-controller/lorry-controller/core/importer/workcopy"
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
	dir := t.TempDir()
	git, err := childproc.NewGit(childproc.GitOptions{Home: filepath.Join(dir, "home"), Grace: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	m := &mirror{t: t, header: http.Header{}, modTime: time.Unix(newest+1000, 0)}
	m.data.Store(&data)
	m.server = httptest.NewServer(http.HandlerFunc(m.serve))
	t.Cleanup(m.server.Close)
	p, err := policy.New(spec.Spec{Type: spec.Tarball}, core.RewriteByRefspec)
	if err != nil {
		t.Fatal(err)
	}
	m.area, err = area.Open(t.Context(), filepath.Join(dir, "work"), "thing", time.Second, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.area.Close)
	r := &repo.Repo{Dir: m.area.GitDir(), Git: git}
	m.source = &Source{
		Copy: workcopy.Copy{
			Area: m.area, Repo: r, Policy: p, Clock: time.Now, Log: hclog.NewNullLogger(), Out: &m.out, Progress: &m.out,
		},
		Kind: spec.Tarball, Access: core.Access{URL: m.server.URL + "/dist/" + name}, Env: git.ToolEnv(),
	}
	m.git = gittest.OpenRepo(t, r.Dir)
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
			if !errors.As(err, &failure) || failure.Kind != test.kind || !strings.Contains(err.Error(), test.cause) || failure.Hint == "" && test.name != "ftp" {
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

func TestDownloadThatBreaksOff(t *testing.T) {
	t.Parallel()
	for _, hang := range []bool{false, true} {
		release := make(chan struct{})
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100000")
			_, _ = io.WriteString(w, "beginning")
			_ = http.NewResponseController(w).Flush()
			if hang {
				<-release
			}
			panic(http.ErrAbortHandler)
		}))
		c := newClient(core.Access{URL: s.URL + "/x.tar"})
		if hang {
			c.stall = 50 * time.Millisecond
		}
		_, err := c.download(t.Context(), io.Discard, 1<<20)
		var failure *gitfail.Error
		if !errors.As(err, &failure) || failure.Kind != core.FailNetwork {
			t.Errorf("hang %v: got %v", hang, err)
		}
		close(release)
		c.close()
		s.Close()
	}
}

// TestRedirects: to the same host they are followed, to a private address not,
// and a credential goes to its own host alone.
func TestRedirects(t *testing.T) {
	t.Parallel()
	var inner atomic.Int32
	private := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { inner.Add(1) }))
	defer private.Close()
	outer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/same":
			http.Redirect(w, r, "/file", http.StatusFound)
		case "/other":
			http.Redirect(w, r, private.URL+"/secret", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/down":
			w.Header().Set("Location", "file:///etc/passwd")
			w.WriteHeader(http.StatusFound)
		default:
			if _, secret, _ := r.BasicAuth(); secret != "opensesame" {
				w.WriteHeader(http.StatusUnauthorized)
			}
			w.Header().Set("ETag", "x")
		}
	}))
	defer outer.Close()
	for path, want := range map[string]core.FailureKind{"/same": core.FailNone, "/other": core.FailNetwork, "/loop": core.FailGone, "/down": core.FailGone} {
		c := newClient(core.Access{URL: outer.URL + path, Username: "ali", Secret: core.NewSecret("opensesame")})
		_, err := c.look(t.Context())
		got := core.FailNone
		if err != nil {
			got = gitfail.From(err, gitfail.Upstream).Kind
		}
		if got != want {
			t.Errorf("%s: want %q, got %v", path, want, err)
		}
		c.close()
	}
	if inner.Load() != 0 {
		t.Error("a redirect reached a private address")
	}
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
