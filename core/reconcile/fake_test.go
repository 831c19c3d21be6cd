package reconcile_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/confgit"
	"github.com/lorry-controller/lorry-controller/core/reconcile"
)

func TestFakedHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(clock core.Clock) store { return newMemory(clock) })
	file := filepath.Join(t.TempDir(), "ls.json")
	w.r = reconcile.New(reconcile.Options{
		Source: confgit.NewSource(confgit.Options{Directory: w.dir}), Store: w.store, Clock: w.clock.Now,
		Upstreams: reconcile.Faked{Files: map[string]string{"example-trove": file}, Next: w.hosts},
	})
	w.write(confgit.ConfFile, conf(hostSection("example-trove", `{"example": "example"}`), hostSection("h", `{"": "h"}`)))
	w.read()
	w.hosts.has("h", "x")
	if diff := cmp.Diff([]string{"h"}, w.list(true)); diff != "" || !strings.Contains(w.host("example-trove").LsError, "can't be read") {
		t.Error(diff, w.host("example-trove").LsError)
	}
	for text, want := range map[string]string{`{"ls-output": ["example/foo"]}`: "", `broken`: "the faked listing"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		w.list(true)
		if got := w.host("example-trove").LsError; !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%s: got %q", text, got)
		}
	}
	if diff := cmp.Diff([]string{"host:example-trove example/foo", "host:h h/x"}, w.paths()); diff != "" {
		t.Error(diff)
	}
}
