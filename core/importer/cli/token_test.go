package cli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/core/importer"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

func tarball(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	if err := w.WriteHeader(&tar.Header{Name: "tool/README", Mode: 0o644, Size: 5}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestTokensByHand: the tokens of two specifications reach the server, and are in
// nothing that lorry says, keeps or publishes, whether it works or not.
func TestTokensByHand(t *testing.T) {
	t.Parallel()
	const token = "c4n4ry-by-hand"
	text := tarball(t)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/moved/tool.bin":
			http.Redirect(w, r, "/login?back=/tool.bin?private_token="+token, http.StatusFound)
		case r.URL.Path == "/login":
			w.Header().Set("Content-Type", "text/html; back="+token)
		case r.URL.Query().Get("private_token") != token:
			http.Error(w, "who asks?", http.StatusForbidden)
		default:
			w.Header().Set("ETag", `"1"`)
			_, _ = w.Write(text)
		}
	}))
	defer s.Close()
	l := newLorry(t)
	outside := t.TempDir() // the specifications have the token, and nothing else may
	lorries := map[string]string{
		"good.lorry":   `{"tar": {"type": "tarball", "url": "` + s.URL + `/tool-1.tar.gz?private_token=` + token + `"}, "raw": {"type": "raw-file", "urls": [{"url": "` + s.URL + `/tool.bin?x=y&private_token=` + token + `"}]}}`,
		"wrong.lorry":  `{"wrong": {"type": "tarball", "url": "` + s.URL + `/tool-1.tar.gz?private_token=` + token + `wrong"}}`,
		"moved.lorry":  `{"moved": {"type": "raw-file", "url": "` + s.URL + `/moved/tool.bin?private_token=` + token + `"}}`,
		"git.lorry":    `{"git": {"type": "git", "url": "` + s.URL + `/tool.git?private_token=` + token + `"}}`,
		"double.lorry": `{"double": {"type": "zip", "url": "http://` + token + `@example.com/tool.zip?private_token=` + token + `"}}`,
	}
	for name, text := range lorries {
		if err := os.WriteFile(filepath.Join(outside, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"tar", "raw"} {
		gittest.NewRepo(t, filepath.Join(l.dir, "down", path))
	}
	all := map[string]string{}
	for name, good := range map[string]bool{"good.lorry": true, "wrong.lorry": false, "moved.lorry": false, "git.lorry": false, "double.lorry": false} {
		for _, args := range [][]string{{"--verbose"}, {"--verbose"}, {"--porcelain"}} {
			args = append(args, "--mirror-base-url-push", filepath.Join(l.dir, "down"), "--working-area", filepath.Join(l.dir, "area"), filepath.Join(outside, name))
			status, stdout, stderr := l.run(args...)
			if done := status == importer.ExitDone; done != good {
				t.Errorf("%s %v: exit %d\n%s%s", name, args, status, stdout, stderr)
			}
			all[name+" "+args[0]] += stdout + stderr
		}
		status, stdout, stderr := l.run("check", filepath.Join(outside, name))
		if good != (status == importer.ExitDone) {
			t.Errorf("check %s: exit %d\n%s%s", name, status, stdout, stderr)
		}
		all[name+" check"] = stdout + stderr
	}
	for _, path := range []string{"tar", "raw"} {
		down := gittest.OpenRepo(t, filepath.Join(l.dir, "down", path))
		if down.Git("rev-parse", "master") == "" {
			t.Errorf("nothing was pushed to %s", path)
		}
		all[path] = down.Git("cat-file", "--batch-all-objects", "--batch", "--unordered")
	}
	err := filepath.WalkDir(l.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			data, err := os.ReadFile(path)
			all[path] = string(data)
			return err
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range all {
		if i := strings.Index(text, "c4n4ry"); i >= 0 {
			t.Errorf("%s: …%.200q", name, text[max(0, i-100):])
		}
	}
}
