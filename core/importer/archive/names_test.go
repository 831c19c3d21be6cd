package archive

import (
	"bytes"
	"context"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/core/spec"
)

func TestTagNames(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"/dist/subversion-1.8.13.tar.bz2":    "subversion-1.8.13",
		"/boost_1_57_0.tar.gz":               "boost_1_57_0",
		"/simplegeneric_0.8.1.orig.tar.gz":   "simplegeneric_0.8.1.orig",
		"/projects/x/files/x-1.tgz/download": "x-1",
		"/from/mirror":                       "mirror",
		"/docbook-xml-4.5.zip":               "docbook-xml-4.5",
		"/a b~1..2.tar.gz":                   "a_b_1._2",
		"/.hidden.tar":                       "_hidden",
		"/x.lock.tar":                        "x.lock_",
		"/":                                  "_",
		"/archive/refs/tags/v1.0.tar.gz":     "v1.0",
		"/UPPER.TAR.GZ":                      "UPPER",
		"/pkg.tar.gz/":                       "pkg",
		"/-dash.tar":                         "_dash",
		"/x-9.99.tar.lz":                     "x-9.99",
		"/long/path/that/ends/in/nothing/particular/": "particular",
	} {
		got := tagName(baseName(address))
		if want == "_" {
			want = "archive"
		}
		if got != want {
			t.Errorf("%s: want %q, got %q", address, want, got)
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, name := range []string{"a/b", "./a//b/", "/a", "../a", "a/../b", ".git", "a/.GIT /x", "GIT~1", ".git\u200c", "a\x00b", ".git::$INDEX", "..."} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got, err := clean(name)
		if err != nil || got == "" {
			return
		}
		if path.IsAbs(got) || path.Clean(got) != got || !filepath.IsLocal(got) {
			t.Errorf("%q became %q", name, got)
		}
		for part := range strings.SplitSeq(got, "/") {
			if lower := strings.ToLower(part); part == ".." || strings.TrimRight(lower, " .") == ".git" || lower == "git~1" {
				t.Errorf("%q became %q", name, got)
			}
		}
	})
}

// none takes contents and forgets them.
type none struct{ total int64 }

func (n *none) Blob(size int64, r io.Reader) (int, error) {
	got, err := io.Copy(io.Discard, io.LimitReader(r, size))
	if n.total += got; err == nil && got < size {
		err = io.ErrUnexpectedEOF
	}
	return 1, err
}

// FuzzRead reads any bytes as an archive: what comes out stays inside and below
// the limits.
func FuzzRead(f *testing.F) {
	f.Add(tarOf(f, member{name: "p/a", text: "1"}, member{name: "p/l", text: "a", kind: '2'}), false)
	f.Add(gz(f, tarOf(f, member{name: "pax/ü", text: "1"}, member{name: "p/../x", text: "1"})), false)
	f.Add(zipOf(f, func(add func(string, string, uint32)) { add("a/b", "1", 0o100755); add("l", "a/b", 0o120777) }), false)
	f.Add(gz(f, []byte("text")), true)
	f.Add([]byte("BZh91AY&SY"), false)
	limits := Limits{Download: 1 << 20, Unpacked: 1 << 20, Members: 100, Ratio: 10}
	f.Fuzz(func(t *testing.T, data []byte, single bool) {
		switch sniff(data) {
		case xzipped, zstandard, lzipped, compressed:
			return // read by programs
		}
		file, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = file.Close() }()
		if _, err := io.Copy(file, bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
		r := &reader{file: file, kind: spec.Tarball, name: "x.gz", limits: limits}
		if single {
			r.kind = spec.Gzip
		}
		to := &none{}
		got, err := r.read(context.Background(), to)
		if to.total > limits.Unpacked {
			t.Errorf("%d bytes came out", to.total)
		}
		if err != nil {
			return
		}
		for name := range got.entries {
			if !filepath.IsLocal(name) || path.Clean(name) != name {
				t.Errorf("the name %q came out", name)
			}
		}
		if len(got.entries) > limits.Members {
			t.Errorf("%d members came out", len(got.entries))
		}
	})
}
