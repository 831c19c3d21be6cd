package reconcile_test

import (
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/confgit"
	"github.com/lorry-controller/lorry-controller/core/reconcile"
)

// world is a CONFGIT in a directory, some hosts, a STATEDB and a Reconciler.
type world struct {
	*testing.T
	dir     string
	clock   *clock
	store   store
	hosts   *hosts
	applied int
	changed int
	parsed  int
	names   reconcile.Names
	r       *reconcile.Reconciler
}

func newWorld(t *testing.T, open func(core.Clock) store) *world {
	t.Helper()
	w := &world{T: t, dir: t.TempDir(), clock: newClock(), hosts: &hosts{byName: map[string]*fakeHost{}}}
	w.store = open(w.clock.Now)
	w.restart()
	return w
}

// restart forgets what is in memory.
func (w *world) restart() {
	w.r = reconcile.New(reconcile.Options{
		Source: countedSource{confgit.NewSource(confgit.Options{Directory: w.dir}), &w.parsed}, Store: w.store, Upstreams: w.hosts,
		PurgeProtect: 5, Clock: w.clock.Now, Names: w.names,
		Applied: func(context.Context, *confgit.Config) { w.applied++ },
		Changed: func() { w.changed++ },
	})
}

// countedSource counts how often CONFGIT is parsed.
type countedSource struct {
	*confgit.Source
	parsed *int
}

func (s countedSource) Read(ctx context.Context, commit string) (*confgit.Config, error) {
	*s.parsed++
	return s.Source.Read(ctx, commit)
}

// write changes a file of CONFGIT; "" removes it.
func (w *world) write(name, text string) {
	w.Helper()
	file := filepath.Join(w.dir, name)
	if text == "" {
		if err := os.Remove(file); err != nil {
			w.Fatal(err)
		}
		return
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
}

// read reads CONFGIT and gives the problems in short.
func (w *world) read() []string {
	w.Helper()
	problems, err := w.r.ReadConfiguration(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	var lines []string
	for _, p := range problems {
		if p.Severity != core.SeverityNotice {
			lines = append(lines, fmt.Sprintf("%s %s:%d %s", p.Severity, p.File, p.Line, p.Key))
		}
	}
	return lines
}

// list lists all hosts, or those that are due.
func (w *world) list(all bool) []string {
	w.Helper()
	listed, err := w.r.ListHosts(w.Context(), all)
	if err != nil {
		w.Fatal(err)
	}
	return listed
}

// lorries gives all stored Lorries by section.
func (w *world) lorries() []core.Lorry {
	w.Helper()
	sections, err := w.store.Sections(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	var all []core.Lorry
	for _, section := range sections {
		some, err := w.store.SectionLorries(w.Context(), section, "", 100_000)
		if err != nil {
			w.Fatal(err)
		}
		all = append(all, some...)
	}
	return all
}

// paths gives "SECTION PATH" of all stored Lorries.
func (w *world) paths() []string {
	w.Helper()
	var all []string
	for _, l := range w.lorries() {
		all = append(all, l.Section+" "+l.Path)
	}
	return all
}

func (w *world) host(name string) core.HostState {
	w.Helper()
	states, err := w.store.Hosts(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	i := slices.IndexFunc(states, func(s core.HostState) bool { return s.Name == name })
	if i < 0 {
		w.Fatalf("there is no host %q", name)
	}
	return states[i]
}

// stored gives the stored problems in short.
func (w *world) stored() string {
	w.Helper()
	problems, err := w.store.Problems(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	var lines []string
	for _, p := range problems {
		if p.Severity != core.SeverityNotice {
			lines = append(lines, confgit.Describe(p))
		}
	}
	return strings.Join(lines, "\n")
}

// lorryFile is a .lorry file with one entry per name.
func lorryFile(names ...string) string {
	var entries []string
	for _, name := range names {
		entries = append(entries, fmt.Sprintf(`  %q: {"type": "git", "url": "https://git.example.com/%s"}`, name, name))
	}
	return "{\n" + strings.Join(entries, ",\n") + "\n}\n"
}

// conf is a lorry-controller.conf, a section a line.
func conf(sections ...string) string { return "[\n" + strings.Join(sections, ",\n") + "\n]\n" }

func section(prefix, globs string) string {
	return fmt.Sprintf(`{"type": "lorries", "interval": "1h", "prefix": %q, "globs": [%q]}`, prefix, globs)
}

// hostSection is a section of a trove; more are further keys.
func hostSection(name, prefixmap string, more ...string) string {
	keys := []string{fmt.Sprintf(`"type": "trove", "host": %q, "protocol": "https", "interval": "1h", "ls-interval": "4h", "prefixmap": %s`, name, prefixmap)}
	return "{" + strings.Join(append(keys, more...), ", ") + "}"
}

// hosts are fake Upstream Hosts.
type hosts struct {
	mu     sync.Mutex
	byName map[string]*fakeHost
}

type fakeHost struct {
	repos []core.Repo
	err   error // behind the repositories
	calls int
	began chan struct{} // gets a value when a listing waits
	wait  chan struct{} // closed to let the listing end; nil: at once
}

func (h *hosts) Upstream(name string) (core.Upstream, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	host := h.byName[name]
	if host == nil {
		return nil, core.Errorf(core.KindUnavailable, "the adapter of %q is missing", name)
	}
	return host, nil
}

// has makes a host list the given paths.
func (h *hosts) has(name string, paths ...string) *fakeHost {
	h.mu.Lock()
	defer h.mu.Unlock()
	host := h.byName[name]
	if host == nil {
		host = &fakeHost{}
		h.byName[name] = host
	}
	host.repos, host.err = nil, nil
	for _, path := range paths {
		host.repos = append(host.repos, core.Repo{Path: path, CloneURL: "https://" + name + "/git/" + path, Head: "refs/heads/main", Description: "about " + path})
	}
	return host
}

func (h *fakeHost) Repos(ctx context.Context) iter.Seq2[core.Repo, error] {
	return func(yield func(core.Repo, error) bool) {
		h.calls++
		for _, repo := range h.repos {
			if !yield(repo, nil) {
				return
			}
		}
		if h.wait != nil {
			h.began <- struct{}{}
			select {
			case <-h.wait:
			case <-ctx.Done():
				yield(core.Repo{}, ctx.Err())
				return
			}
		}
		if h.err != nil {
			yield(core.Repo{}, h.err)
		}
	}
}

func (h *fakeHost) Repo(context.Context, string) (core.Repo, core.Access, error) {
	return core.Repo{}, core.Access{}, core.Errorf(core.KindUnsupported, "not here")
}
