package importer

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/spec"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

const canaryToken = "c4n4ry-0123456789"

// guarded serves files to whoever asks with the token in the query, and keeps
// the queries.
type guarded struct {
	*httptest.Server
	mu    sync.Mutex
	token string
	seen  map[string]bool
}

func newGuarded(t *testing.T, token string) *guarded {
	g := &guarded{token: token, seen: map[string]bool{}}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.seen[r.URL.RequestURI()] = true
		if r.URL.Query().Get("private_token") != g.token || r.Header.Get("Authorization") != "" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("ETag", `"1"`)
		w.Header().Set("Last-Modified", "Mon, 02 Jan 2023 15:04:05 GMT")
		_, _ = w.Write([]byte("contents of " + r.URL.Path))
	}))
	t.Cleanup(g.Close)
	return g
}

// asked gives what was asked for since.
func (g *guarded) asked() map[string]bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	seen := g.seen
	g.seen = map[string]bool{}
	return seen
}

// mustHide looks for the canary in all files and all that git keeps.
func (w *world) mustHide(report protocol.ImportReport) {
	w.t.Helper()
	told, err := json.Marshal(report)
	if err != nil {
		w.t.Fatal(err)
	}
	all := map[string]string{"output": w.out.String(), "report": string(told)}
	for name, r := range map[string]*gittest.Repo{"working copy": w.area(), "mirror": w.down} {
		all[name] = r.Git("cat-file", "--batch-all-objects", "--batch", "--unordered")
	}
	err = filepath.WalkDir(w.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		all[path] = string(data)
		return err
	})
	if err != nil || len(all) < 20 {
		w.t.Fatalf("%d files: %v", len(all), err)
	}
	for name, text := range all {
		if i := strings.Index(text, "c4n4ry"); i >= 0 {
			w.t.Errorf("%s: …%.200q", name, text[max(0, i-100):])
		}
	}
}

// TestTokenOfAJob: the token of a URL's query comes with the job, goes to its own
// host alone, and is nowhere afterwards. Another one makes no other file.
func TestTokenOfAJob(t *testing.T) {
	t.Parallel()
	w, own, other := newWorld(t), newGuarded(t, canaryToken), newGuarded(t, "")
	server := gittest.NewLFS(t, w.dir)
	w.down.Git("config", "http.receivepack", "true")
	w.opts.Request.Push = &protocol.Access{URL: server.URL + "/" + downName}
	text := `{"group/thing": {"type": "raw-file", "urls": [{"url": "` + own.URL + `/a.bin?x=1&sig=c4n4ry", "destination": "d"}, {"url": "` + own.URL + `/b.bin"}, {"url": "` + other.URL + `/c.bin"}]}}`
	specs, problems := spec.Parse("f", []byte(text))
	if len(specs) != 1 || len(problems) > 0 {
		t.Fatal(problems)
	}
	w.opts.Spec = specs[0]
	w.opts.Request.Fetch = &protocol.Access{URL: own.URL + "/a.bin?x=1&sig=c4n4ry", Secret: canaryToken, SecretIn: "private_token"}
	first := w.mustRun()
	w.mustHide(first)
	if diff := cmp.Diff(map[string]bool{"/a.bin?x=1&sig=c4n4ry&private_token=" + canaryToken: true, "/b.bin?private_token=" + canaryToken: true}, own.asked()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]bool{"/c.bin": true}, other.asked()); diff != "" {
		t.Error(diff)
	}
	if got := w.down.Git("ls-tree", "-r", "--name-only", "master"); got != ".gitattributes\nb.bin\nc.bin\nd/a.bin" {
		t.Errorf("got %s", got)
	}
	want := "Import of raw files\n\nb.bin from " + own.URL + "/b.bin\nc.bin from " + other.URL + "/c.bin\nd/a.bin from " + own.URL + "/a.bin?x=1&sig=[secret]"
	if diff := cmp.Diff(want, w.down.Git("log", "-1", "--format=%B", "master")); diff != "" {
		t.Error(diff)
	}

	// A record of an earlier version has the signature, which neither the next commit
	// nor the next record gets from there.
	record := filepath.Join(w.opts.WorkingArea, "group_thing", "git", "lorry-raw-files")
	kept, err := os.ReadFile(record)
	if err == nil && !strings.Contains(string(kept), "sig=[secret]") {
		t.Errorf("the record is %s", kept)
	}
	if err == nil {
		err = os.WriteFile(record, []byte(strings.ReplaceAll(string(kept), "sig=[secret]", "sig=c4n4ry")), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.opts.Spec.Files = w.opts.Spec.Files[:2]
	second := w.mustRun()
	want = strings.Replace(want, "c.bin from "+other.URL+"/c.bin\n", "", 1)
	if diff := cmp.Diff(want, w.down.Git("log", "-1", "--format=%B", "master")); diff != "" {
		t.Error(diff)
	}
	w.mustHide(second)

	own.mu.Lock()
	own.token = "another-" + canaryToken
	own.mu.Unlock()
	w.opts.Request.Fetch.Secret, w.opts.Request.Digest = "another-"+canaryToken, second.Digest
	if _, same := Look(t.Context(), w.opts); !same {
		t.Error("another token is another file")
	}
	w.opts.Request.Fetch.Secret = "wrong-" + canaryToken
	w.mustHide(w.mustFail(core.FailGone))
}

func gzipped(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestRecordFromBefore: a record that has the token in its URL, as earlier
// versions wrote it, is replaced, and makes neither a commit nor a failure.
func TestRecordFromBefore(t *testing.T) {
	t.Parallel()
	w, own := newWorld(t), newGuarded(t, canaryToken)
	address := own.URL + "/tool-1.gz?private_token=" + canaryToken
	record := filepath.Join(w.opts.WorkingArea, "group_thing", "git", "lorry-archive")
	access, err := spec.ParseAddress(spec.Gzip, address)
	if err != nil {
		t.Fatal(err)
	}
	local := filepath.Join(w.dir, "tool-1.gz")
	w.opts.Spec = spec.Spec{Name: "group/thing", Type: spec.Gzip, Access: core.Access{URL: local}}
	if err := os.WriteFile(local, gzipped(t, "tool"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.mustRun()
	before := w.down.Mirrored()
	text, err := os.ReadFile(record)
	if err != nil || !strings.Contains(string(text), local) {
		t.Fatalf("%s: %v", text, err)
	}
	if err := os.WriteFile(record, []byte(strings.ReplaceAll(string(text), local, address)), 0o600); err != nil {
		t.Fatal(err)
	}
	own.Config.Handler = http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("private_token") != canaryToken {
			http.NotFound(out, r)
			return
		}
		http.ServeFile(out, r, local)
	})
	w.opts.Spec.Access = access
	w.mustHide(w.mustRun())
	if diff := cmp.Diff(before, w.down.Mirrored()); diff != "" {
		t.Error(diff)
	}
	if text, err := os.ReadFile(record); err != nil || !strings.Contains(string(text), own.URL+`/tool-1.gz"`) {
		t.Errorf("%s: %v", text, err)
	}
}
