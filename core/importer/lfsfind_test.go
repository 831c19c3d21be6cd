package importer

import (
	"testing"

	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// TestPointersAreFound: wherever in the history they are, and whichever comes
// first, the pointer or the word that it is one.
func TestPointersAreFound(t *testing.T) {
	t.Parallel()
	const attributes = "*.bin filter=lfs\n"
	for _, test := range []struct {
		name  string
		steps []func(w *largeWorld) // each before another run
		want  []int                 // how many objects there are downstream after each
	}{
		{"the word, then the pointer", []func(*largeWorld){
			func(*largeWorld) {}, // newLargeWorld says the word
			func(w *largeWorld) { w.up.Commit("refs/heads/next", "a commit beside") },
			func(w *largeWorld) { w.add("sub/late.bin", "late") },
			func(w *largeWorld) { w.add("sub/later.bin", "later") },
		}, []int{0, 0, 1, 2}},
		{"a pointer that only history has", []func(*largeWorld){
			func(w *largeWorld) {
				w.add("sub/gone.bin", "gone")
				w.up.CommitFile("refs/heads/main", "sub/gone.bin", []byte("no pointer any more"))
			},
		}, []int{1}},
		{"a pointer on a tag alone", []func(*largeWorld){
			func(w *largeWorld) {
				w.up.CommitFile("refs/heads/next", "sub/x.bin", []byte(w.server.Put(upName, []byte("tagged"))))
				w.up.Git("update-ref", "refs/tags/side", "refs/heads/next")
				w.up.Git("update-ref", "-d", "refs/heads/next")
			},
		}, []int{1}},
		{"pointers, then the word", []func(*largeWorld){
			func(w *largeWorld) {
				for ref := range w.up.Refs() {
					w.up.Git("update-ref", "-d", ref)
				}
				w.up.Commit("refs/heads/main", "no attributes here")
				w.add("early.bin", "early")
			},
			func(w *largeWorld) { w.add("other.bin", "other") },
			func(w *largeWorld) { w.up.CommitFile("refs/heads/main", ".gitattributes", []byte(attributes)) },
		}, []int{0, 0, 2}},
		{"what looks like a pointer, in a text that is too long", []func(*largeWorld){
			func(w *largeWorld) {
				w.up.CommitFile("refs/heads/main", "sub/long.bin", append([]byte(gittest.LFSPointer([]byte("x"))), make([]byte, 1024)...))
			},
			func(w *largeWorld) { w.add("sub/short.bin", "short") },
		}, []int{0, 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newLargeWorld(t)
			for i, step := range test.steps {
				step(w)
				w.mustRun()
				w.mustEqual()
				if n := len(w.server.Objects(downName)); n != test.want[i] {
					t.Fatalf("after step %d the mirror has %d objects, want %d\n%s", i, n, test.want[i], w.out)
				}
			}
		})
	}
}
