package importer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
)

// TestCvsForms: a vendor's imports, files that are no text, names with spaces,
// and a repository whose files are damaged.
func TestCvsForms(t *testing.T) {
	t.Parallel()
	w := newCvsWorld(t)
	vendor := filepath.Join(w.dir, "vendor")
	if err := os.Mkdir(vendor, 0o755); err != nil {
		t.Fatal(err)
	}
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(vendor, "same.c"), "one\n")
	write(filepath.Join(vendor, "changed.c"), "one\n")
	w.cvs(vendor, "import", "-I!", "-m", "first import", "mod", "VENDOR", "V1")
	write(filepath.Join(vendor, "same.c"), "two\n")
	w.cvs(vendor, "import", "-I!", "-m", "second import", "mod", "VENDOR", "V2")
	w.cvs(w.checkout, "update", "-d")
	w.commit("changed.c", "ours\n", "changed here")
	const binary = "\x00$Id$\r\n\xff"
	write(filepath.Join(w.checkout, "no text.bin"), binary)
	w.cvs(w.checkout, "add", "-kb", "no text.bin")
	w.cvs(w.checkout, "commit", "-m", "binary", "no text.bin")
	w.mustRun()
	if diff := cmp.Diff([]string{"refs/heads/VENDOR", "refs/heads/master", "refs/tags/V1", "refs/tags/V2"}, refNames(w.down.Mirrored())); diff != "" {
		t.Error(diff)
	}
	if got := w.down.Git("show", "master:no text.bin"); got != strings.TrimSpace(binary) {
		t.Errorf("got %q", got)
	}
	if got := w.down.Git("show", "VENDOR:same.c") + w.down.Git("show", "master:same.c") + w.down.Git("show", "master:changed.c"); got != "twotwoours" {
		t.Errorf("got %q", got)
	}

	good := w.down.Mirrored()
	path := filepath.Join(w.root, "mod", "changed.c,v")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"cut":           string(whole[:len(whole)/2]),
		"no file":       "nonsense\n",
		"a wrong delta": strings.Replace(string(whole), "@d1 1\n", "@d9 9\n", 1),
	} {
		write(path, text)
		if err := os.RemoveAll(filepath.Join(w.opts.WorkingArea, "group_thing", "cvs")); err != nil {
			t.Fatal(err)
		}
		report := w.mustFail(core.FailCorrupt)
		if !strings.Contains(report.Failure.Hint, "repaired upstream") || !strings.Contains(report.Failure.Cause, "changed.c") {
			t.Errorf("%s: got %+v", name, report.Failure)
		}
		if diff := cmp.Diff(good, w.down.Mirrored()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
