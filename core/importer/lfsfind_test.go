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
				w.empty()
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
		{"the word under another name on a newer branch", []func(*largeWorld){
			func(w *largeWorld) {
				w.add("sub/old.bin", "old")
				w.up.Git("update-ref", "refs/heads/stable", "refs/heads/main")
				w.change("R sub/.gitattributes skel/gitattributes")
			},
		}, []int{1}},
		{"the word under another name, then its own", []func(*largeWorld){
			func(w *largeWorld) {
				w.empty()
				w.up.CommitFile("refs/heads/main", "attributes.sample", []byte(attributes))
				w.add("fixture.txt", "early")
			},
			func(w *largeWorld) { w.add("other.txt", "other") },
			func(w *largeWorld) { w.change("C attributes.sample sub/.gitattributes") },
			func(w *largeWorld) { w.add("sub/late.bin", "late") },
		}, []int{0, 0, 2, 3}},
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

// empty begins upstream anew, without attributes.
func (w *largeWorld) empty() {
	w.t.Helper()
	for ref := range w.up.Refs() {
		w.up.Git("update-ref", "-d", ref)
	}
	w.up.Commit("refs/heads/main", "no attributes here")
}

// change adds a newer commit to upstream's main that copies or renames a file.
func (w *largeWorld) change(what string) {
	w.t.Helper()
	w.up.Stdin("commit refs/heads/main\ncommitter C <c@example.com> 1800000000 +0000\ndata 1\nx\nfrom refs/heads/main^0\n"+what+"\n", "fast-import", "--quiet")
}
