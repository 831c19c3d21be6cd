package cli

import (
	"archive/tar"
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// victims are the kinds of upstream whose imports are disturbed. A new kind
// needs a row here.
func victims() []victim {
	return append(moreVictims(), []victim{
		{name: "git", rounds: 6, make: gitVictim},
		{name: "new git", rounds: 3, make: gitVictim, afresh: true},
		{name: "svn", rounds: 2, slow: true, make: svnVictim, needs: []string{"svn", "svnadmin", "svnmucc"}},
		{name: "hg", rounds: 2, make: hgVictim, needs: []string{"hg"}, beside: []string{"hg"}},
		{name: "archive", rounds: 4, make: archiveVictim, versions: true},
	}...)
}

// many is how many refs a victim has: so many when the test may take long.
func many(soak, ordinary int) int {
	if os.Getenv("LORRY_TEST_SOAK") != "" {
		return soak
	}
	return ordinary
}

func gitVictim(_ *testing.T, l *lorry) (string, func(int), func() map[string]string) {
	all := many(3000, 100)
	change := func(round int) {
		n := all
		if round > 0 && round%10 != 0 {
			n = all / 10
		}
		l.up.Branches(n, "round "+strconv.Itoa(round))
		if round%3 == 0 {
			l.up.Rewrite("refs/heads/b/0000", "rewritten in round "+strconv.Itoa(round))
		}
		if round%5 == 0 {
			l.up.Git("update-ref", "refs/tags/light", "refs/heads/b/0001")
		}
	}
	return `{"type": "git", "url": "` + l.up.Dir + `", "refspecs": ["+refs/heads/*", "+refs/tags/*"]}`, change, l.up.Mirrored
}

// do runs a program with an environment of the test's own.
func do(t *testing.T, dir, stdin, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LC_ALL=C", "HGRCPATH=", "HGPLAIN=1"}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
}

func svnVictim(t *testing.T, l *lorry) (string, func(int), func() map[string]string) {
	if _, err := exec.Command("git", "svn", "--version").Output(); err != nil {
		gittest.Require(t, "git-svn")
	}
	dir := filepath.Join(l.dir, "svn")
	url := "file://" + dir
	do(t, "/", "", "svnadmin", "create", dir)
	do(t, "/", "", "svn", "mkdir", "-q", "-m", "layout", url+"/trunk", url+"/branches", url+"/tags")
	change := func(round int) {
		commands := []string{"-m", "round " + strconv.Itoa(round), "-U", url}
		n := many(3, 1)
		if round == -2 {
			n = many(200, 5)
		}
		for i := range n {
			commands = append(commands, "cp", "HEAD", "trunk", fmt.Sprintf("tags/t%d-%d", round+2, i))
		}
		commands = append(commands, "put", "/dev/stdin", "trunk/file", "cp", "HEAD", "trunk", "branches/b"+strconv.Itoa(round+2))
		do(t, "/", "round "+strconv.Itoa(round)+"\n", "svnmucc", commands...)
	}
	change(-2)
	return `{"type": "svn", "url": "` + url + `"}`, change, nil
}

func hgVictim(t *testing.T, l *lorry) (string, func(int), func() map[string]string) {
	dir := filepath.Join(l.dir, "mercurial")
	do(t, "/", "", "hg", "init", dir)
	commit := func(message string) {
		do(t, dir, "", "hg", "commit", "-q", "-A", "-u", "ann", "-d", "1700000000 0", "-m", message)
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("file", "first\n")
	commit("first")
	node, err := exec.Command("hg", "log", "-R", dir, "-r", "0", "-T", "{node}").Output()
	if err != nil {
		t.Fatal(err)
	}
	var tags strings.Builder
	for i := range many(3000, 100) {
		fmt.Fprintf(&tags, "%s t%04d\n", node, i)
	}
	write(".hgtags", tags.String())
	commit("tags")
	tag := func(name string) { // as hg tag does, with the next commit
		fmt.Fprintf(&tags, "%s %s\n", node, name)
		write(".hgtags", tags.String())
	}
	return `{"type": "hg", "url": "file://` + dir + `"}`, func(round int) {
		write("file", "round "+strconv.Itoa(round)+"\n")
		tag("r" + strconv.Itoa(round+1))
		commit("round " + strconv.Itoa(round))
		if round%3 == 0 {
			do(t, dir, "", "hg", "branch", "-q", "b"+strconv.Itoa(round))
			write("file", "branch "+strconv.Itoa(round)+"\n")
			commit("a branch")
			do(t, dir, "", "hg", "update", "-q", "default")
		}
	}, nil
}

func archiveVictim(t *testing.T, l *lorry) (string, func(int), func() map[string]string) {
	var version atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := version.Load()
		var b bytes.Buffer
		out := tar.NewWriter(&b)
		for i := range many(3000, 300) {
			text := fmt.Sprintf("file %d of version %d\n", i, n)
			_ = out.WriteHeader(&tar.Header{Name: fmt.Sprintf("thing/d%d/f%d", i%17, i), Mode: 0o644, Size: int64(len(text)), ModTime: time.Unix(1_600_000_000+n, 0)})
			_, _ = out.Write([]byte(text))
		}
		_ = out.Close()
		w.Header().Set("ETag", fmt.Sprintf(`"%d"`, n))
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b.Bytes()))
	}))
	t.Cleanup(server.Close)
	entry := func() string {
		return fmt.Sprintf(`{"type": "tarball", "url": "%s/thing-%d.tar"}`, server.URL, version.Load())
	}
	return entry(), func(int) {
		version.Add(1)
		l.spec("thing.lorry", `{"group/thing": `+entry()+`}`)
	}, nil
}
