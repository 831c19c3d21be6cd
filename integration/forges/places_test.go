package forges

import (
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// text gives what a page or an answer of the API says, whatever its status.
func (s *system) text(t *testing.T, path string) string {
	t.Helper()
	resp, err := http.Get(s.address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// files adds every file below a directory, such as the STATEDB.
func files(t *testing.T, dir string, found map[string]string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return nil //nolint:nilerr // it went while we looked
		}
		if raw, err := os.ReadFile(name); err == nil {
			found[name] = string(raw)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// watchProcesses looks at the arguments of all processes again and again; the
// function that it gives ends that and gives what was seen.
func watchProcesses(t *testing.T) func() string {
	t.Helper()
	seen := map[string]struct{}{}
	stop := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
			for _, file := range lines {
				if raw, err := os.ReadFile(file); err == nil && strings.Contains(string(raw), "lorry") || strings.Contains(string(raw), "git") {
					seen[string(raw)] = struct{}{}
				}
			}
			select {
			case <-stop:
				return
			case <-tick.C:
			}
		}
	})
	var once sync.Once
	end := func() string {
		once.Do(func() { close(stop) })
		watching.Wait()
		var b strings.Builder
		for line := range seen {
			b.WriteString(line + "\n")
		}
		return b.String()
	}
	t.Cleanup(func() { end() })
	return end
}
