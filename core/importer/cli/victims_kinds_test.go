package cli

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// moreVictims are the kinds that bring objects of git-lfs or are converted by
// programs of their own.
func moreVictims() []victim {
	return []victim{
		{name: "cvs", rounds: 1, make: cvsVictim, needs: []string{"cvs", "cvsps"}, beside: []string{"cvs"}},
		{name: "bzr", rounds: 1, slow: true, make: bzrVictim, needs: []string{"brz"}, beside: []string{"bzr"}},
		{name: "raw-file", rounds: 2, make: rawVictim, versions: true},
		{name: "git-lfs", rounds: 2, make: lfsVictim},
	}
}

func cvsVictim(t *testing.T, l *lorry) (string, func(int), func() map[string]string) {
	if _, err := os.Stat("/usr/lib/git-core/git-cvsimport"); err != nil {
		gittest.Require(t, "git-cvsimport")
	}
	root, checkout := filepath.Join(l.dir, "cvsroot"), filepath.Join(l.dir, "mod")
	cvs := func(dir string, args ...string) {
		do(t, dir, "", "cvs", append([]string{"-Q", "-f", "-d", root}, args...)...)
	}
	cvs(l.dir, "init")
	if err := os.Mkdir(filepath.Join(root, "mod"), 0o755); err != nil {
		t.Fatal(err)
	}
	cvs(l.dir, "co", "mod")
	files := many(10, 3)
	change := func(round int) {
		for i := range files {
			name := fmt.Sprintf("f%d", i)
			_, err := os.Stat(filepath.Join(checkout, name))
			if werr := os.WriteFile(filepath.Join(checkout, name), fmt.Appendf(nil, "round %d\n", round), 0o644); werr != nil {
				t.Fatal(werr)
			}
			if err != nil {
				cvs(checkout, "add", name)
			}
		}
		cvs(checkout, "commit", "-m", "round "+strconv.Itoa(round))
		if round%many(10, 2) == 0 {
			cvs(checkout, "tag", "r"+strconv.Itoa(round))
		}
	}
	change(-2)
	return `{"type": "cvs", "url": "` + root + `", "module": "mod"}`, change, nil
}

func bzrVictim(t *testing.T, l *lorry) (string, func(int), func() map[string]string) {
	trunk, side := filepath.Join(l.dir, "bzr", "trunk"), filepath.Join(l.dir, "bzr", "side")
	if err := os.Mkdir(filepath.Dir(trunk), 0o755); err != nil {
		t.Fatal(err)
	}
	bzr := func(dir string, args ...string) {
		do(t, dir, "", "env", append([]string{
			"BRZ_HOME=" + l.dir, "BRZ_PLUGIN_PATH=-user:-site:+core", "BRZ_EMAIL=Ann <ann@example.com>", "BRZ_LOG=/dev/null",
			"BRZ_PLUGINS_AT=round@" + filepath.Join(l.dir, "round.py"), "brz",
		}, args...)...)
	}
	l.spec("round.py", bzrRound)
	bzr("/", "init", "-q", trunk)
	change := func(round int) {
		if err := os.WriteFile(filepath.Join(trunk, "file"), fmt.Appendf(nil, "round %d\n", round), 0o644); err != nil {
			t.Fatal(err)
		}
		bzr("/", "round", trunk, "r"+strconv.Itoa(round))
	}
	change(-2)
	bzr("/", "branch", "-q", trunk, side)
	return `{"type": "bzr", "branches": {"trunk": "` + trunk + `", "side": "` + side + `"}}`, change, nil
}

// bzrRound is a command that adds, commits and tags: brz takes longer to start
// than for any of them.
const bzrRound = `
from breezy.commands import Command, register_command
from breezy.workingtree import WorkingTree

class cmd_round(Command):
    __doc__ = "Add, commit and tag."
    takes_args = ['location', 'name']

    def run(self, location, name):
        tree = WorkingTree.open(location)
        with tree.lock_write():
            tree.smart_add([location])
            tree.branch.tags.set_tag(name, tree.commit(name))

register_command(cmd_round)
`

func rawVictim(t *testing.T, _ *lorry) (string, func(int), func() map[string]string) {
	var version atomic.Int64
	content := func(name string, n int64) []byte {
		return bytes.Repeat(fmt.Appendf(nil, "%s in version %d\n", name, n), 20_000)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := version.Load()
		if strings.HasSuffix(r.URL.Path, "0") {
			n = 0 // this one never changes
		}
		w.Header().Set("ETag", fmt.Sprintf(`"%s-%d"`, r.URL.Path, n))
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(w, r, "", time.Unix(1_600_000_000+n, 0), bytes.NewReader(content(r.URL.Path, n)))
	}))
	t.Cleanup(server.Close)
	var urls []string
	for i := range many(40, 4) {
		urls = append(urls, fmt.Sprintf(`{"destination": "d%d", "url": "%s/f%d"}`, i, server.URL, i))
	}
	return `{"type": "raw-file", "urls": [` + strings.Join(urls, ", ") + `]}`, func(int) { version.Add(1) }, nil
}

func lfsVictim(t *testing.T, l *lorry) (string, func(int), func() map[string]string) {
	server := gittest.NewLFS(t, l.dir)
	name := strings.TrimPrefix(l.up.Dir, l.dir+"/")
	l.up.CommitFile("refs/heads/main", ".gitattributes", []byte("*.bin filter=lfs\n"))
	change := func(round int) {
		for i := range many(20, 3) {
			content := bytes.Repeat(fmt.Appendf(nil, "object %d of round %d\n", i, round), 20_000)
			l.up.CommitFile("refs/heads/main", fmt.Sprintf("o%d.bin", i), []byte(server.Put(name, content)))
		}
	}
	return `{"type": "git", "url": "` + server.URL + "/" + name + `"}`, change, l.up.Mirrored
}
