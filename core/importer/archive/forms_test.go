package archive

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core/spec"
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
		{"names of DOS", spec.Zip, bytes.ReplaceAll(zipped, []byte("p/a"), []byte("p/\x81")), []string{"100644 b", "100644 ü"}},
		{"a program in front", spec.Zip, append([]byte("#!/bin/sh\nexec unzip \"$0\"\n"), zipped...), []string{"100644 a", "100644 b"}},
		{"text behind the end of a zip", spec.Zip, append(append([]byte{}, zipped...), "trailing\n"...), []string{"100644 a", "100644 b"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := newMirror(t, "p-1.tar.gz", test.data)
			m.source.Kind = test.kind
			m.mustUpdate()
			if diff := cmp.Diff(test.want, m.files("refs/tags/p-1")); diff != "" {
				t.Error(diff)
			}
		})
	}
}
