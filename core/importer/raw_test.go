package importer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/spec"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// shelf serves files over HTTP and counts what is taken.
type shelf struct {
	*httptest.Server
	mu    sync.Mutex
	files map[string]string
	at    time.Time
	gets  []string
}

func newShelf(t *testing.T) *shelf {
	s := &shelf{files: make(map[string]string), at: time.Unix(1_700_000_000, 0)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		text, ok := s.files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		if r.Method == http.MethodGet {
			s.gets = append(s.gets, r.URL.Path)
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(w, r, "", s.at, bytes.NewReader([]byte(text)))
	}))
	t.Cleanup(s.Close)
	return s
}

// put changes a file a while after the last change.
func (s *shelf) put(path, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[path], s.at = text, s.at.Add(time.Hour)
}

func (s *shelf) taken() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.gets
	s.gets = nil
	return list
}

func file(destination, address string) spec.File {
	return spec.File{Destination: destination, Access: core.Access{URL: address}}
}

func TestRawFilesGoIntoLFS(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), newShelf(t)
	server := gittest.NewLFS(t, w.dir)
	w.down.Git("config", "http.receivepack", "true")
	w.opts.Request.Push = &protocol.Access{URL: server.URL + "/" + downName}
	s.put("/a/fw.bin", "firmware one")
	s.put("/b/set%20of.data", "unused")
	s.files["/b/set of.data"] = "the set"
	w.opts.Spec = spec.Spec{Name: "group/thing", Type: spec.RawFile, Files: []spec.File{file("blobs/fw", s.URL+"/a/fw.bin"), file("", s.URL+"/b/set%20of.data")}}
	report := w.mustRun()
	if diff := cmp.Diff([]string{"/b/set of.data", "/a/fw.bin"}, swapped(s.taken())); diff != "" {
		t.Error(diff)
	}
	files := w.down.Git("ls-tree", "-r", "--name-only", "master")
	if files != ".gitattributes\nblobs/fw/fw.bin\nset of.data" || report.Head != "refs/heads/master" {
		t.Errorf("got %s, head %q", files, report.Head)
	}
	if got := w.down.Git("show", "master:blobs/fw/fw.bin") + "\n"; got != gittest.LFSPointer([]byte("firmware one")) {
		t.Errorf("got %s", got)
	}
	sum := sha256.Sum256([]byte("the set"))
	if got := server.Objects(downName); len(got) != 2 || got[hex.EncodeToString(sum[:])] != "the set" {
		t.Errorf("got %v", got)
	}
	checkout := filepath.Join(w.dir, "checkout")
	w.down.Git("clone", "-q", "-b", "master", w.down.Dir, checkout)
	attributes := gittest.OpenRepo(t, filepath.Join(checkout, ".git")).Git("--work-tree="+checkout, "-C", checkout, "check-attr", "filter", "--", "blobs/fw/fw.bin", "set of.data", ".gitattributes")
	if attributes != "blobs/fw/fw.bin: filter: lfs\nset of.data: filter: lfs\n.gitattributes: filter: unspecified" {
		t.Errorf("got %s", attributes)
	}
	w.opts.Request.Digest = report.Digest
	if looked, same := Look(t.Context(), w.opts); !same || !looked.Unchanged || len(s.taken()) > 0 {
		t.Errorf("got %+v", looked)
	}

	// Only what changed is taken, and lies on top.
	first := w.down.Git("rev-parse", "master")
	s.put("/a/fw.bin", "firmware two")
	s.mu.Lock()
	s.at = s.at.Add(time.Hour)
	s.mu.Unlock()
	if next := w.mustRun(); next.Digest == report.Digest {
		t.Error("the digest is the same")
	}
	if got := w.down.Git("rev-parse", "master^"); got != first || len(server.Objects(downName)) != 3 {
		t.Errorf("the new commit lies on %s, %d objects", got, len(server.Objects(downName)))
	}
	// Same contents, newer date: nothing new.
	second := w.down.Git("rev-parse", "master")
	s.put("/a/fw.bin", "firmware two")
	if again := w.mustRun(); !again.Unchanged || w.down.Git("rev-parse", "master") != second {
		t.Errorf("got %+v", again)
	}
	// What the specification drops goes.
	w.opts.Spec.Files = w.opts.Spec.Files[:1]
	w.mustRun()
	if files := w.down.Git("ls-tree", "-r", "--name-only", "master"); files != ".gitattributes\nblobs/fw/fw.bin" {
		t.Errorf("got %s", files)
	}
	w.down.Fsck()
}

func swapped(list []string) []string {
	if len(list) == 2 && list[0] > list[1] {
		return list
	}
	if len(list) == 2 {
		list[0], list[1] = list[1], list[0]
	}
	return list
}

func TestRawFileFaults(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), newShelf(t)
	s.put("/a.bin", "contents")
	good := spec.Spec{Name: "group/thing", Type: spec.RawFile, Files: []spec.File{file("x", s.URL+"/a.bin")}}
	w.opts.Spec = good
	w.mustRun()
	before := w.down.Mirrored()
	local := filepath.Join(w.dir, "plain.bin")
	if err := os.WriteFile(local, []byte("plain"), 0o600); err != nil {
		t.Fatal(err)
	}
	wrong := file("x", s.URL+"/a.bin")
	wrong.SHA256 = strings.Repeat("0", 64)
	s.put("/b.bin", "other")
	half := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		out.Header().Set("Content-Length", "100")
		if r.Method == http.MethodGet {
			_, _ = out.Write([]byte("half"))
			_ = http.NewResponseController(out).Flush()
			panic(http.ErrAbortHandler)
		}
	}))
	defer half.Close()
	// A length that HEAD alone tells; a page that says of itself that it is a file.
	quiet := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		out.Header().Set("Content-Type", "application/octet-stream")
		switch {
		case r.URL.Path == "/page.bin":
			_, _ = out.Write([]byte("\n<!DOCTYPE HTML>\n<p>log in"))
		case r.Method == http.MethodHead:
			out.Header().Set("Content-Length", "100")
		default:
			_, _ = out.Write([]byte("half"))
			_ = http.NewResponseController(out).Flush()
		}
	}))
	defer quiet.Close()
	for name, test := range map[string]struct {
		files []spec.File
		kind  core.FailureKind
		cause string
	}{
		"checksum":   {[]spec.File{wrong}, core.FailCorrupt, "x/a.bin: the file has the sha256 checksum"},
		"gone":       {[]spec.File{file("x", s.URL+"/none")}, core.FailGone, "404"},
		"half":       {[]spec.File{file("x", half.URL+"/a.bin")}, core.FailNetwork, "4 of 100"},
		"cut":        {[]spec.File{file("x", quiet.URL+"/a.bin")}, core.FailNetwork, "4 of 100"},
		"log in":     {[]spec.File{file("x", quiet.URL+"/page.bin")}, core.FailNotGit, "x/page.bin: what came is a page"},
		"page":       {[]spec.File{file("", gittest.Page(t, "<html>").URL+"/a.bin")}, core.FailNotGit, "text/html"},
		"no name":    {[]spec.File{file("", s.URL+"/")}, core.FailSpec, "name"},
		"repository": {[]spec.File{file("", s.URL+"/.git")}, core.FailSpec, "name"},
		"attributes": {[]spec.File{file("", s.URL+"/.gitattributes")}, core.FailSpec, "name"},
		"twice":      {[]spec.File{file("x", s.URL+"/a.bin"), file("x/", s.URL+"/c/a.bin")}, core.FailSpec, "two urls"},
		"clash":      {[]spec.File{file("", s.URL+"/a.bin"), file("a.bin", s.URL+"/b.bin")}, core.FailSpec, "a file and a directory"},
		"ftp":        {[]spec.File{file("", "ftp://example.com/a.bin")}, core.FailSpec, "not supported"},
		"elsewhere":  {[]spec.File{file("", "/etc/passwd")}, core.FailSpec, "not below"},
	} {
		w.opts.Spec.Files = test.files
		report := w.run()
		if report.Failure.Kind != test.kind || !strings.Contains(report.Failure.Cause, test.cause) {
			t.Errorf("%s: want %q with %q, got %+v", name, test.kind, test.cause, report.Failure)
		}
		if diff := cmp.Diff(before, w.down.Mirrored()); diff != "" {
			t.Errorf("%s: downstream changed: %s", name, diff)
		}
	}
	w.opts.Spec.Files = []spec.File{file("", "file://"+local)}
	w.mustRun()
	if got := w.down.Git("show", "master:plain.bin") + "\n"; got != gittest.LFSPointer([]byte("plain")) {
		t.Errorf("got %s", got)
	}
}
