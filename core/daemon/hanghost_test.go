package daemon

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/settings"
)

// TestAHostThatHangsDelaysNoReadingOfCONFGIT: its listing comes from a pipe, to
// which nothing is written. It is listed as soon as CONFGIT was read.
func TestAHostThatHangsDelaysNoReadingOfCONFGIT(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe := filepath.Join(dir, "listing")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("lorry-controller.conf", `[{"type": "lorries", "interval": "1h", "prefix": "p", "globs": ["*.lorry"]},
		{"type": "gitlab", "host": "up.example.org", "protocol": "https", "prefixmap": {"": "up"}, "interval": "1h", "ls-interval": "1h"}]`)
	lorries := func(names ...string) {
		t.Helper()
		text := ""
		for _, name := range names {
			text += fmt.Sprintf(`%q: {"type": "git", "url": "https://git.example.com/%s"},`, name, name)
		}
		write("a.lorry", "{"+text[:len(text)-1]+"}")
	}
	lorries("a")
	c := startSimCore(t, settings.Controller{
		Data: dir, StateDB: core.NewSecret(filepath.Join(dir, "state.db")), Confgit: settings.Confgit{Directory: dir},
		FakeHosts: map[string]string{"up.example.org": pipe}, GhostTimeout: queue.DefaultGhostTimeout,
		ReadConfiguration: 50 * time.Millisecond, LsTroves: time.Hour,
	}, 0)
	defer c.end(t, false)
	const patience = 1000 // times 10 ms
	var host *os.File
	for n := 0; host == nil; n++ { // until the host is being listed
		var err error
		if host, err = os.OpenFile(pipe, os.O_WRONLY|syscall.O_NONBLOCK, 0); err != nil {
			if n == patience {
				t.Fatal("the host is not listed:", err)
			}
			<-time.After(10 * time.Millisecond)
		}
	}
	defer host.Close() // ends the listing
	wait := func(want ...string) {
		t.Helper()
		var got []string
		for range patience {
			all, err := c.db.Lorries(t.Context(), queue.Page{})
			if err != nil {
				t.Fatal(err)
			}
			got = nil
			for _, l := range all {
				got = append(got, l.Path)
			}
			if slices.Equal(got, want) {
				return
			}
			<-time.After(10 * time.Millisecond)
		}
		t.Fatalf("want %q, got %q", want, got)
	}
	wait("p/a")
	lorries("a", "b")
	wait("p/a", "p/b")
	if _, err := host.WriteString(`{"ls-output": ["x"]}`); err != nil {
		t.Fatal(err)
	}
	if err := host.Close(); err != nil {
		t.Fatal(err)
	}
	wait("p/a", "p/b", "up/x")
}
