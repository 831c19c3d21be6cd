package reconcile_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/confgit"
	"github.com/lorry-controller/lorry-controller/core/reconcile"
	"github.com/lorry-controller/lorry-controller/core/statedb"
)

// benchWorld is a Reconciler on an SQLite STATEDB and an empty CONFGIT.
func benchWorld(b *testing.B) (dir string, h *hosts, r *reconcile.Reconciler) {
	b.Helper()
	dir, c := b.TempDir(), newClock()
	db, err := statedb.Open(b.Context(), statedb.Options{URL: filepath.Join(b.TempDir(), "state.db"), Clock: c.Now})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	h = &hosts{byName: map[string]*fakeHost{}}
	r = reconcile.New(reconcile.Options{
		Source: confgit.NewSource(confgit.Options{Directory: dir}), Store: db, Upstreams: h, PurgeProtect: 5, Clock: c.Now,
	})
	return dir, h, r
}

// BenchmarkReadConfiguration applies a CONFGIT of 20,000 Lorries (100,000
// lines), first to an empty STATEDB and then with one Lorry changed.
func BenchmarkReadConfiguration(b *testing.B) {
	dir, _, r := benchWorld(b)
	text := func(i, of int) string {
		var entries []string
		for j := range of {
			entries = append(entries, fmt.Sprintf("\"f%02d/r%05d\": {\n\"type\": \"git\",\n\"refspecs\": [\"+refs/heads/*\"],\n\"url\": \"https://git.example.com/%d/%d\"\n}", i, j, i, j))
		}
		return "{" + strings.Join(entries, ",\n") + "}\n"
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	write(confgit.ConfFile, conf(section("p", "*.lorry")))
	for i := range 20 {
		write(fmt.Sprintf("f%02d.lorry", i), text(i, 1000))
	}
	if _, err := r.ReadConfiguration(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds()), "ms/first")
	n := 0
	for b.Loop() {
		write("one.lorry", lorryFile(fmt.Sprintf("changed-%d", n)))
		n++
		if _, err := r.ReadConfiguration(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkListHosts lists a host of 50,000 repositories that are all known.
func BenchmarkListHosts(b *testing.B) {
	dir, h, r := benchWorld(b)
	if err := os.WriteFile(filepath.Join(dir, confgit.ConfFile), []byte(conf(hostSection("h", `{"": "h"}`))), 0o600); err != nil {
		b.Fatal(err)
	}
	if _, err := r.ReadConfiguration(b.Context()); err != nil {
		b.Fatal(err)
	}
	host := h.has("h")
	for i := range 50_000 {
		path := fmt.Sprintf("group/r%05d", i)
		host.repos = append(host.repos, core.Repo{Path: path, CloneURL: "https://h/" + path, Head: "refs/heads/main"})
	}
	if _, err := r.ListHosts(b.Context(), true); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds()), "ms/first")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.ListHosts(b.Context(), true); err != nil {
			b.Fatal(err)
		}
	}
}
