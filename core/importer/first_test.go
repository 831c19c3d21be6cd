package importer

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// TestFirstCloneAsksNoMoreThanGit: upstream gets the requests of git clone and
// not one beside; the next run, which has what a look is compared with, looks.
func TestFirstCloneAsksNoMoreThanGit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	server := gittest.NewServer(t, filepath.Dir(w.up.Dir))
	w.opts.Spec.Access = core.Access{URL: server.URL + "/" + filepath.Base(w.up.Dir)}
	w.mustRun()
	first := server.Requests()
	gets := slices.DeleteFunc(slices.Clone(first), func(r string) bool { return !strings.HasPrefix(r, "GET ") })
	if len(first) != 3 || len(gets) != 1 {
		t.Errorf("got %q", first)
	}
	w.mustRun()
	if got := len(server.Requests()) - len(first); got != 2 {
		t.Errorf("the second run made %d requests", got)
	}
}
