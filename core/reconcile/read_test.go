package reconcile_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/confgit"
)

func TestLorriesFollowConfgit(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, open func(core.Clock) store) {
		w := newWorld(t, open)
		if got := w.read(); len(got) > 0 || len(w.paths()) > 0 {
			t.Errorf("a CONFGIT without a file: %v, %v", got, w.paths())
		}
		w.write(confgit.ConfFile, conf(section("upstream", "*.lorry")))
		w.write("foo.lorry", lorryFile("foo", "deep/bar"))
		w.read()
		want := []string{"lorries:upstream upstream/deep/bar", "lorries:upstream upstream/foo"}
		if diff := cmp.Diff(want, w.paths()); diff != "" {
			t.Error(diff)
		}
		foo := w.lorries()[1]
		wantLorry := core.Lorry{
			Path: "upstream/foo", Section: "lorries:upstream", UpstreamHost: "git.example.com", Repository: "git.example.com/foo", Interval: time.Hour, Timeout: time.Hour,
			Text: "{\n    \"upstream/foo\": {\n        \"type\": \"git\",\n        \"url\": \"https://git.example.com/foo\"\n    }\n}",
		}
		if diff := cmp.Diff(wantLorry, foo); diff != "" {
			t.Error(diff)
		}
		changed, applied := w.changed, w.applied
		w.read()
		if w.changed != changed || w.applied != applied {
			t.Error("reading the same again changed something")
		}
		w.restart()
		w.read()
		if w.changed != changed || w.applied != applied+1 {
			t.Error("reading the same after a restart changed a Lorry, or did not take the configuration over")
		}

		w.write("bar.lorry", lorryFile("bar"))
		w.write("foo.lorry", "")
		w.read()
		if diff := cmp.Diff([]string{"lorries:upstream upstream/bar"}, w.paths()); diff != "" {
			t.Error(diff)
		}
		w.write(confgit.ConfFile, conf(strings.Replace(section("other", "*.lorry"), "1h", "2h", 1)))
		w.read()
		if diff := cmp.Diff([]string{"lorries:other other/bar"}, w.paths()); diff != "" {
			t.Error(diff)
		}
		w.write(confgit.ConfFile, "[]")
		w.read()
		if got := w.paths(); len(got) > 0 {
			t.Errorf("got %v, want nothing", got)
		}
	})
}

// A Lorry that another section now gives is moved, not made anew.
func TestLorryMovesToAnotherSection(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, open func(core.Clock) store) {
		w := newWorld(t, open)
		w.write(confgit.ConfFile, conf(section("a", "*.lorry")))
		w.write("x.lorry", lorryFile("b/x"))
		w.read()
		w.write(confgit.ConfFile, conf(section("a/b", "*.lorry")))
		w.write("x.lorry", lorryFile("x"))
		w.read()
		if diff := cmp.Diff([]string{"lorries:a/b a/b/x"}, w.paths()); diff != "" {
			t.Error(diff)
		}
	})
}

// What can't be read as a whole changes nothing and is reported.
func TestUnreadableFileChangesNothing(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, open func(core.Clock) store) {
		for name, tt := range map[string]struct{ text, want string }{
			"not JSON": {"this is not JSON", "lorry-controller.conf:1: not valid JSON: invalid character 'h' in literal true (expecting 'r')"},
			"missing":  {"", "lorry-controller.conf: there is no such file any more, so what it said before stays; to mirror nothing, let it hold an empty list, []"},
			"no list":  {"{\n\"type\": \"lorries\"}", "lorry-controller.conf:1: must be a list of sections, not a map"},
		} {
			w := newWorld(t, open)
			w.write(confgit.ConfFile, conf(section("p", "*.lorry")))
			w.write("a.lorry", lorryFile("a"))
			w.read()
			commit, err := w.store.ConfigCommit(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			good := conf(section("p", "*.lorry"))
			w.write(confgit.ConfFile, tt.text)
			if _, err := w.r.ReadConfiguration(t.Context()); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: got %v, want %q", name, err, tt.want)
			}
			if diff := cmp.Diff([]string{"lorries:p p/a"}, w.paths()); diff != "" {
				t.Error(name, diff)
			}
			if diff := cmp.Diff(tt.want, w.stored()); diff != "" {
				t.Error(name, diff)
			}
			if now, err := w.store.ConfigCommit(t.Context()); err != nil || now != commit {
				t.Errorf("%s: the commit changed to %q, %v", name, now, err)
			}
			if len(w.r.Config().Left) != 1 {
				t.Errorf("%s: the configuration in force was lost", name)
			}
			w.write(confgit.ConfFile, good)
			w.read()
			if got := w.stored(); got != "" {
				t.Errorf("%s: the problem stayed: %s", name, got)
			}
		}
	})
}

// Hosts stay too, also those that nothing was mirrored from yet.
func TestAFileThatVanishedLeavesHosts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(clock core.Clock) store { return newMemory(clock) })
	w.write(confgit.ConfFile, conf(hostSection("h", `{"": "h"}`)))
	w.read()
	before := w.host("h")
	w.write(confgit.ConfFile, "")
	if _, err := w.r.ReadConfiguration(t.Context()); err == nil || !strings.Contains(err.Error(), "there is no such file any more") {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(before, w.host("h")); diff != "" {
		t.Error(diff)
	}
}

// In an empty STATEDB nothing comes of anything that is broken.
func TestBrokennessOfEveryKind(t *testing.T) {
	t.Parallel()
	const host = `"host": "h", "protocol": "ssh", "interval": "1h", "ls-interval": "1h", "prefixmap": {"a": "b"}`
	for name, text := range map[string]string{
		"not JSON":              "this is not JSON",
		"not a list":            `{"type": "lorries"}`,
		"a list of texts":       `["lorries"]`,
		"a list of lists":       `[[1]]`,
		"no type":               `[{"prefix": "p", "globs": ["*.lorry"], "interval": "1h"}]`,
		"unknown type":          `[{"type": "Bad Type", ` + host + `}]`,
		"lorries lack globs":    `[{"type": "lorries", "prefix": "p", "interval": "1h"}]`,
		"lorries lack prefix":   `[{"type": "lorries", "globs": ["*.lorry"], "interval": "1h"}]`,
		"globs are a text":      `[{"type": "lorries", "prefix": "p", "globs": "*.lorry", "interval": "1h"}]`,
		"globs have numbers":    `[{"type": "lorries", "prefix": "p", "globs": [1], "interval": "1h"}]`,
		"prefix is a number":    `[{"type": "lorries", "prefix": 1, "globs": ["*.lorry"], "interval": "1h"}]`,
		"host lacks host":       `[{"type": "trove", "protocol": "ssh", "interval": "1h", "ls-interval": "1h", "prefixmap": {"a": "b"}}]`,
		"host lacks protocol":   `[{"type": "trove", "host": "h", "interval": "1h", "ls-interval": "1h", "prefixmap": {"a": "b"}}]`,
		"host lacks prefixmap":  `[{"type": "trove", "host": "h", "protocol": "ssh", "interval": "1h", "ls-interval": "1h"}]`,
		"bad protocol":          `[{"type": "trove", "host": "h", "protocol": "ftp", "interval": "1h", "ls-interval": "1h", "prefixmap": {"a": "b"}}]`,
		"ignore is a text":      `[{"type": "trove", "ignore": "x", ` + host + `}]`,
		"ignore has numbers":    `[{"type": "gitlab", "ignore": [1], ` + host + `}]`,
		"prefixmap is a list":   `[{"type": "trove", "host": "h", "protocol": "ssh", "interval": "1h", "ls-interval": "1h", "prefixmap": []}]`,
		"private-token is none": `[{"type": "gitlab", "private-token": 5, ` + host + `}]`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(clock core.Clock) store { return newMemory(clock) })
			w.write("a.lorry", lorryFile("a"))
			w.write(confgit.ConfFile, text)
			problems, err := w.r.ReadConfiguration(t.Context())
			if err == nil && (len(problems) == 0 || problems[0].Severity != core.SeverityError) {
				t.Errorf("nothing was said: %v", problems)
			}
			hosts, hostErr := w.store.Hosts(t.Context())
			if got := w.paths(); len(got) > 0 || len(hosts) > 0 || hostErr != nil {
				t.Errorf("got %v, %v, %v", got, hosts, hostErr)
			}
			if !strings.HasPrefix(w.stored(), confgit.ConfFile+":1: ") {
				t.Errorf("got %q", w.stored())
			}
		})
	}
}

// A broken section or file is left out; what it gave before stays.
func TestBrokenPartsKeepWhatTheyGave(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, open func(core.Clock) store) {
		w := newWorld(t, open)
		w.write(confgit.ConfFile, conf(section("p", "p*.lorry"), section("q", "q*.lorry"), hostSection("h", `{"": "h"}`)))
		w.write("p1.lorry", lorryFile("a"))
		w.write("p2.lorry", lorryFile("b"))
		w.write("q.lorry", lorryFile("c"))
		w.hosts.has("h", "x")
		w.read()
		w.list(false)
		all := []string{"host:h h/x", "lorries:p p/a", "lorries:p p/b", "lorries:q q/c"}
		if diff := cmp.Diff(all, w.paths()); diff != "" {
			t.Fatal(diff)
		}

		w.write("p1.lorry", "{broken")
		w.write("q.lorry", "")
		if diff := cmp.Diff([]string{"error p1.lorry:1 "}, w.read()); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(all[:3], w.paths()); diff != "" {
			t.Error("a broken file:", diff)
		}

		w.write(confgit.ConfFile, conf(`{"type": "lorries", "prefix": "p", "globs": 5}`, hostSection("h", `"x"`)))
		w.read()
		if diff := cmp.Diff(all[:3], w.paths()); diff != "" {
			t.Error("broken sections:", diff)
		}
		if w.host("h").Type != "trove" || len(w.r.Config().Hosts) != 1 {
			t.Error("the host of a broken section was forgotten")
		}

		w.write(confgit.ConfFile, conf(`{"type": "lorries"}`))
		w.read()
		if diff := cmp.Diff(all[:3], w.paths()); diff != "" {
			t.Error("a section that nobody knows:", diff)
		}
		w.restart()
		w.read()
		if diff := cmp.Diff(all[:3], w.paths()); diff != "" || w.host("h").Type != "trove" {
			t.Error("after a restart:", diff)
		}

		w.write(confgit.ConfFile, conf(section("p", "p*.lorry")))
		w.write("p1.lorry", lorryFile("new"))
		w.read()
		if diff := cmp.Diff([]string{"lorries:p p/b", "lorries:p p/new"}, w.paths()); diff != "" {
			t.Error("mended:", diff)
		}
	})
}

func TestFollowTakesOverAnotherCoresConfiguration(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, open func(core.Clock) store) {
		w := newWorld(t, open)
		w.write(confgit.ConfFile, conf(section("p", "*.lorry")))
		w.write("a.lorry", strings.Replace(lorryFile("a"), "https://", "https://me:hidden@", 1))
		w.read()
		w.restart()
		if err := w.r.Follow(t.Context()); err != nil {
			t.Fatal(err)
		}
		access := w.r.Access(core.LorryState{Lorry: w.lorries()[0]})
		if access == nil || access.Secret.Reveal() != "hidden" || access.URL != "https://git.example.com/a" {
			t.Errorf("got %+v", access)
		}
		if strings.Contains(w.lorries()[0].Text, "hidden") {
			t.Error("the credential is in the STATEDB")
		}
		// The next reading applies what was followed; it is not parsed again.
		parsed := w.parsed
		w.read()
		if w.parsed != parsed {
			t.Error("the same commit was read twice")
		}
		if len(w.r.Config().Lorries) != 0 {
			t.Error("the Lorries stay in memory beside those of the STATEDB")
		}
		w.write("b.lorry", lorryFile("b"))
		w.read()
		if diff := cmp.Diff([]string{"lorries:p p/a", "lorries:p p/b"}, w.paths()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAccessOfGeneratedLorries(t *testing.T) {
	t.Parallel()
	const auth = `"auth": {"username": "u", "password": "hidden"}`
	for _, tt := range []struct {
		name, section, url string
		secret             string
		skip               bool
	}{
		{"https", hostSection("h.example.com", `{"": "h"}`, auth), "https://h.example.com/x", "hidden", false},
		{"another host", hostSection("h.example.com", `{"": "h"}`, auth), "https://evil.example.com/x", "", false},
		{"plain http", hostSection("h.example.com", `{"": "h"}`, auth), "http://h.example.com/x", "", false},
		{"not verified", hostSection("h.example.com", `{"": "h"}`, auth, `"check-certificates": false`), "https://h.example.com/x", "", true},
		{"not verified, but allowed", hostSection("h.example.com", `{"": "h"}`, auth, `"check-certificates": "no"`, `"insecure-credentials": "yes"`), "https://h.example.com/x", "hidden", true},
		{"ssh", hostSection("h.example.com", `{"": "h"}`, auth), "ssh://git@h.example.com/x", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(clock core.Clock) store { return newMemory(clock) })
			w.write(confgit.ConfFile, conf(tt.section))
			w.read()
			w.hosts.has("h.example.com", "x").repos[0].CloneURL = strings.Replace(tt.url, "://", "://", 1)
			w.list(false)
			access := w.r.Access(core.LorryState{Lorry: w.lorries()[0]})
			if access == nil || access.URL != tt.url || access.Secret.Reveal() != tt.secret || access.SkipCertificates != tt.skip {
				t.Errorf("got %+v, secret %q", access, access.Secret.Reveal())
			}
		})
	}
}
