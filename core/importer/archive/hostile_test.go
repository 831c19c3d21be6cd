package archive

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/spec"
)

// lie is a zip archive of one file whose directory may say other things than
// the file does.
type lie struct {
	here, there string // the name beside the file and that in the directory
	size        uint32 // in the directory; 0: the right one
	flags       uint16
	attributes  uint32 // of Unix
	copies      int    // how many entries name the same file
}

func (l lie) zip(t testing.TB, text []byte) []byte {
	t.Helper()
	var packed bytes.Buffer
	z, err := flate.NewWriter(&packed, 9)
	if err == nil {
		_, err = z.Write(text)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	size := l.size
	if size == 0 {
		size = uint32(len(text))
	}
	sum := crc32.ChecksumIEEE(text)
	var b bytes.Buffer
	put := func(values ...any) {
		for _, v := range values {
			if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
				t.Fatal(err)
			}
		}
	}
	put([]byte("PK\x03\x04"), uint16(20), l.flags, uint16(8), uint32(0x210000), sum, uint32(packed.Len()), uint32(len(text)), uint16(len(l.here)), uint16(0), []byte(l.here), packed.Bytes())
	start := b.Len()
	for i := range max(1, l.copies) {
		name := l.there
		if l.copies > 0 {
			name += fmt.Sprint(i)
		}
		put([]byte("PK\x01\x02"), uint16(3<<8|20), uint16(20), l.flags, uint16(8), uint32(0x210000), sum, uint32(packed.Len()), size,
			uint16(len(name)), uint16(0), uint16(0), uint16(0), uint16(0), l.attributes<<16, uint32(0), []byte(name))
	}
	put([]byte("PK\x05\x06"), uint16(0), uint16(0), uint16(max(1, l.copies)), uint16(max(1, l.copies)), uint32(b.Len()-start), uint32(start), uint16(0))
	return b.Bytes()
}

// header is the header of a tar archive's member with a size as it stands there.
func header(size string) []byte {
	h := make([]byte, 512)
	copy(h, "p/a")
	copy(h[100:], "0000644\x00")
	copy(h[124:136], size)
	copy(h[148:], "        ")
	h[156] = '0'
	copy(h[257:], "ustar\x0000")
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:], fmt.Sprintf("%06o\x00 ", sum))
	return h
}

// TestHostileArchives: what an archive says that is not so, or is meant for
// another place than the archive's own.
func TestHostileArchives(t *testing.T) {
	t.Parallel()
	text := []byte("some text")
	end := make([]byte, 1536)
	huge := append([]byte{0x80, 0, 0, 0, 0x7f}, bytes.Repeat([]byte{0xff}, 7)...)
	for _, test := range []struct {
		name  string
		kind  spec.Type
		data  []byte
		fails core.FailureKind
		cause string
		want  []string
	}{
		{"many entries for one file", spec.Zip, lie{here: "p/0", there: "p/", copies: 400}.zip(t, make([]byte, 1<<20)), core.FailSpec, "too large", nil},
		{"another name beside the file", spec.Zip, lie{here: "p/evil", there: "p/good"}.zip(t, text), core.FailNone, "", []string{"100644 good"}},
		{"too small a size", spec.Zip, lie{here: "p/a", there: "p/a", size: 2}.zip(t, text), core.FailCorrupt, "", nil},
		{"too large a size", spec.Zip, lie{here: "p/a", there: "p/a", size: 500}.zip(t, text), core.FailCorrupt, "too early", nil},
		{"no size at all", spec.Zip, lie{here: "p/a", there: "p/a", size: 0xfffffffe}.zip(t, text), core.FailSpec, "too large", nil},
		{"encrypted", spec.Zip, lie{here: "p/a", there: "p/a", flags: 1}.zip(t, text), core.FailCorrupt, "encrypted", nil},
		{"NUL", spec.Zip, lie{here: "p/a\x00b", there: "p/a\x00b"}.zip(t, text), core.FailCorrupt, "NUL", nil},
		{"absolute", spec.Zip, lie{here: "/etc/x", there: "/etc/x"}.zip(t, text), core.FailCorrupt, "absolute", nil},
		{"a drive", spec.Zip, lie{here: `C:\x\y`, there: `C:\x\y`}.zip(t, text), core.FailCorrupt, "absolute", nil},
		{"a drive with slashes", spec.Zip, lie{here: "c:/x/y", there: "c:/x/y"}.zip(t, text), core.FailCorrupt, "absolute", nil},
		{"a line of git's", spec.Zip, lie{here: "p/a\nM 100644 :1 x", there: "p/a\nM 100644 :1 x"}.zip(t, text), core.FailNone, "", []string{`100644 "a\nM 100644 :1 x"`}},
		{"a long name", spec.Zip, lie{here: "p/a", there: strings.Repeat("n", 5000)}.zip(t, text), core.FailCorrupt, "longer than 4096", nil},
		{"a device alone", spec.Zip, lie{here: "p/a", there: "p/a", attributes: 0o020666}.zip(t, text), core.FailEmpty, "no file", nil},
		{"names in other letters", spec.Zip, zipOf(t, func(add func(string, string, uint32)) {
			add("p/a", "1", 0)
			add("p/A", "2", 0)
			add("p/\u00e9", "3", 0)
			add("p/e\u0301", "4", 0)
		}), core.FailNone, "", []string{"100644 A", "100644 a", "100644 e\u0301", "100644 \u00e9"}},
		{"one name twice", spec.Zip, zipOf(t, func(add func(string, string, uint32)) {
			add("p/a", "1", 0)
			add("p/a", "2", 0)
		}), core.FailNone, "", []string{"100644 a"}},
		{"deep", spec.Tarball, tarOf(t, member{name: strings.Repeat("d/", 1000) + "f", text: "1"}, member{name: "g", text: "1"}), core.FailNone, "", []string{"100644 " + strings.Repeat("d/", 1000) + "f", "100644 g"}},
		{"a link, and a file behind it", spec.Tarball, tarOf(t, member{name: "p/l", text: "/etc", kind: tar.TypeSymlink}, member{name: "p/l/passwd", text: "x"}), core.FailNone, "", []string{"100644 l/passwd"}},
		{"a hard link to outside", spec.Tarball, tarOf(t, member{name: "p/h", text: "../../etc/passwd", kind: tar.TypeLink}), core.FailCorrupt, "leads out", nil},
		{"a hard link through a link", spec.Tarball, tarOf(t, member{name: "p/s", text: "/etc", kind: tar.TypeSymlink}, member{name: "p/h", text: "p/s/passwd", kind: tar.TypeLink}), core.FailCorrupt, "not there", nil},
		{"devices", spec.Tarball, tarOf(t, member{name: "p/c", kind: tar.TypeChar}, member{name: "p/b", kind: tar.TypeBlock}, member{name: "p/f", kind: tar.TypeFifo}, member{name: "p/a", text: "1"}), core.FailNone, "", []string{"100644 a"}},
		{"less than nothing", spec.Tarball, append(header(strings.Repeat("\xff", 12)), end...), core.FailCorrupt, "", nil},
		{"more than there is", spec.Tarball, append(header(string(huge)), end...), core.FailSpec, "too large", nil},
		{"a few blocks more than there are", spec.Tarball, append(header("00000011610\x00"), end...), core.FailCorrupt, "too early", nil},
		{"packed twice", spec.Tarball, gz(t, gz(t, tarOf(t, member{name: "p/a", text: "1"}))), core.FailNotGit, "", nil},
		{"a window of terabytes", spec.Tarball, []byte("\x28\xb5\x2f\xfd\x00\xf8\x01\x00\x00"), core.FailCorrupt, "", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := newMirror(t, "p-1.tar.gz", test.data)
			m.source.Kind = test.kind
			_, err := m.update()
			if test.fails == core.FailNone {
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(test.want, m.files("refs/tags/p-1")); diff != "" {
					t.Error(diff)
				}
				return
			}
			var failure *gitfail.Error
			if !errors.As(err, &failure) || failure.Kind != test.fails || !strings.Contains(failure.Cause, test.cause) || failure.Hint == "" {
				t.Errorf("want %s with %q, got %v", test.fails, test.cause, err)
			}
			if refs := m.git.Refs(); len(refs) > 0 {
				t.Errorf("made %v", refs)
			}
		})
	}
}

// TestDirectoryWithoutEnd: a zip archive names so many members that the list
// alone fills the memory. It is not read to its end, whatever it says of its
// length.
func TestDirectoryWithoutEnd(t *testing.T) {
	t.Parallel()
	for _, entries := range []int{9_000, 200_000} {
		data := lie{here: "a", there: "", copies: entries}.zip(t, []byte("x"))
		path := filepath.Join(t.TempDir(), "a.zip")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		limits := DefaultLimits()
		limits.Members = 10_000
		r := &reader{file: f, kind: spec.Zip, name: "a.zip", limits: limits}
		in := &counting{ReaderAt: f, most: limits.Members}
		if _, err := zip.NewReader(in, int64(len(data))); (err != nil) != (entries > limits.Members) || in.n > limits.Members+searched+200 {
			t.Errorf("%d entries: %d were read, %v", entries, in.n, err)
		}
		_, err = r.read(t.Context(), &none{})
		if told := err != nil && strings.Contains(err.Error(), "more than 10000 members"); told != (entries > limits.Members) {
			t.Errorf("%d entries: %v", entries, err)
		}
	}
}
