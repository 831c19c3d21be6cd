package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"fmt"
	"hash/crc32"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core/spec"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// TestOddForms: archives that are not made by the book and that the usual
// programs read.
func TestOddForms(t *testing.T) {
	t.Parallel()
	whole := tarOf(t, member{name: "p/a", text: "1"}, member{name: "p/b", text: "2"})
	zipped := zipOf(t, func(add func(string, string, uint32)) {
		add("p/a", "1", 0)
		add("p/b", "2", 0)
	})
	half := len(whole) / 2
	for _, test := range []struct {
		name string
		kind spec.Type
		data []byte
		want []string
	}{
		{"a line behind the end", spec.Tarball, append(gz(t, whole), "trailing\n"...), []string{"100644 a", "100644 b"}},
		{"a few zeros behind the end", spec.Tarball, append(gz(t, whole), 0, 0, 0), []string{"100644 a", "100644 b"}},
		{"much behind the end", spec.Tarball, append(gz(t, whole), bytes.Repeat([]byte("text "), 500)...), []string{"100644 a", "100644 b"}},
		{"two parts", spec.Tarball, append(gz(t, whole[:half]), gz(t, whole[half:])...), []string{"100644 a", "100644 b"}},
		{"a second archive behind the first", spec.Tarball, append(append([]byte{}, whole...), tarOf(t, member{name: "p/c", text: "3"})...), []string{"100644 a", "100644 b"}},
		{"text behind the end of bzip2", spec.Tarball, append(packed(t, whole, "bzip2", "-c"), "trailing\n"...), []string{"100644 a", "100644 b"}},
		{"two parts of bzip2", spec.Tarball, append(packed(t, whole[:half], "bzip2", "-c"), packed(t, whole[half:], "bzip2", "-c")...), []string{"100644 a", "100644 b"}},
		{"a frame to skip", spec.Tarball, append([]byte("\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"), packed(t, whole, "zstd", "-cq")...), []string{"100644 a", "100644 b"}},
		{"a link and a directory", spec.Tarball, tarOf(t, member{name: "p/lib", text: "lib64", kind: tar.TypeSymlink}, member{name: "p/lib/a", text: "1"}), []string{"100644 lib/a"}},
		{"a type that nobody knows", spec.Tarball, retyped(t, whole, "p/b", 'Z'), []string{"100644 a", "100644 b"}},
		{"a type that says nothing of contents", spec.Tarball, retyped(t, whole, "p/b", 'V'), []string{"100644 a"}},
		{"an access list of Solaris", spec.Tarball, retyped(t, whole, "p/b", 'A'), []string{"100644 a"}},
		{"the rest of a file of another volume", spec.Tarball, retyped(t, whole, "p/b", 'M'), []string{"100644 a"}},
		{"a directory with its list", spec.Tarball, append(retyped(t, tarOf(t, member{name: "p/d", text: "Ya"}), "p/d", 'D')[:1024], whole...), []string{"100644 a", "100644 b"}},
		{"bzip2 in a zip", spec.Zip, zipOfBzip2(t, "p/a", "1"), []string{"100644 a"}},
		{"names of DOS", spec.Zip, bytes.ReplaceAll(zipped, []byte("p/a"), []byte("p/\x81")), []string{"100644 b", "100644 ü"}},
		{"a program in front", spec.Zip, append([]byte("#!/bin/sh\nexec unzip \"$0\"\n"), zipped...), []string{"100644 a", "100644 b"}},
		{"text behind the end of a zip", spec.Zip, append(append([]byte{}, zipped...), "trailing\n"...), []string{"100644 a", "100644 b"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := newMirror(t, "p-1.tar.gz", test.data)
			m.source.Kind = test.kind
			m.mustUpdate()
			if told := strings.Contains(m.out.String(), `warning: left out "p/lib" (a link and a directory)`); told != (test.name == "a link and a directory") {
				t.Errorf("told: %v\n%s", told, &m.out)
			}
			if diff := cmp.Diff(test.want, m.files("refs/tags/p-1")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// retyped makes a member of a tar archive one of another type.
func retyped(t testing.TB, archive []byte, name string, kind byte) []byte {
	t.Helper()
	at := bytes.Index(archive, []byte(name+"\x00"))
	if at < 0 || at%512 != 0 {
		t.Fatalf("no member %s", name)
	}
	archive = bytes.Clone(archive)
	head := archive[at : at+512]
	head[156] = kind
	copy(head[148:156], "        ")
	sum := 0
	for _, b := range head {
		sum += int(b)
	}
	copy(head[148:], fmt.Sprintf("%06o\x00 ", sum))
	return archive
}

// packed gives data as a program packs it.
func packed(t testing.TB, data []byte, program string, options ...string) []byte {
	t.Helper()
	gittest.Require(t, program)
	cmd := exec.Command(program, options...)
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func zipOfBzip2(t testing.TB, name, text string) []byte {
	t.Helper()
	data := packed(t, []byte(text), "bzip2", "-c")
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	f, err := w.CreateRaw(&zip.FileHeader{
		Name: name, Method: methodBzip2, CRC32: crc32.ChecksumIEEE([]byte(text)), CompressedSize64: uint64(len(data)), UncompressedSize64: uint64(len(text)),
	})
	if err == nil {
		_, err = f.Write(data)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
