package forges

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// retiring is a forge that mirrors two of its own repositories, and archives the
// mirrors of Lorries that go away; those of another section are left alone.
type retiring struct {
	forge
	up, down string
	sys      *system
}

// newRetiring starts the system. front stands before the fake and may be nil.
func newRetiring(t *testing.T, kind string, front func(http.Handler) http.Handler) *retiring {
	t.Helper()
	var f forge
	var fake http.Handler
	if kind == "gitea" {
		fake, f = fakeGitea(t)
	} else {
		fake, f = fakeGitLab(t)
	}
	w := &retiring{forge: f, up: "up", down: "down"}
	seeds := gittest.NewRepo(t, filepath.Join(t.TempDir(), "seeds.git"))
	seeds.Branches(1, "first")
	id := f.group(t, w.up)
	for _, name := range []string{"one", "two"} {
		f.create(t, w.up, id, name, "", false)
		f.push(t, seeds, w.up+"/"+name, branch(0)+":refs/heads/main")
	}
	address := f.address
	if front != nil {
		address = serve(t, front(fake))
	}
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(f.token), 0o600); err != nil {
		t.Fatal(err)
	}
	webapp := []string{"downstream-host-type = " + kind, "downstream-http-url = " + address, "downstream-setting = protocol=http"}
	secret := map[string]string{"gitea": "gitea-access-token-file", "gitlab": "gitlab-private-token-file"}[kind]
	webapp = append(webapp, secret+" = "+token, "read-configuration-interval = 0")
	w.sys = start(t, webapp, []map[string]any{
		{"type": "lorries", "prefix": w.down, "globs": []string{"a.lorry"}, "interval": "1d", "retire": "archive"},
		{"type": "lorries", "prefix": "a-left", "globs": []string{"b.lorry"}, "interval": "1d"},
	}, map[string]string{"a.lorry": w.entries("one", "two"), "b.lorry": w.entries("one")})
	w.await(t, "a-left/one", "down/one", "down/two")
	return w
}

// entries are those of a .lorry file.
func (w *retiring) entries(names ...string) string {
	var all []string
	for _, name := range names {
		all = append(all, fmt.Sprintf("%q: {\"type\": \"git\", \"url\": \"%s/%s/%s.git\"}", name, w.address, w.up, name))
	}
	return "{" + strings.Join(all, ",\n") + "}"
}

// want changes CONFGIT and has it read. The other section has nothing now.
func (w *retiring) want(t *testing.T, names ...string) {
	t.Helper()
	for file, text := range map[string]string{"a.lorry": w.entries(names...), "b.lorry": "{}"} {
		if err := os.WriteFile(filepath.Join(w.sys.confgit(), file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.sys.post(t, "/1.0/read-configuration")
}

// await waits until each Lorry has been mirrored well.
func (w *retiring) await(t *testing.T, paths ...string) {
	t.Helper()
	await(t, fmt.Sprintf("mirrors %q", paths), func() bool {
		all := w.sys.lorries(t)
		for _, path := range paths {
			if all[path].LastExit != "0" {
				return false
			}
		}
		return len(all) == len(paths)
	})
}

func (w *retiring) archived(t *testing.T, name string) bool {
	t.Helper()
	f, there := w.facts(t, w.down+"/"+name)
	if !there {
		t.Fatalf("%s is gone", name)
	}
	return f.Archived
}

// audit gives what the audit has about archiving.
func (w *retiring) audit(t *testing.T) []string {
	t.Helper()
	var answer struct {
		Entries []struct {
			Who     string `json:"who"`
			Action  string `json:"action"`
			Subject string `json:"subject"`
			After   string `json:"after"`
			Result  string `json:"result"`
		} `json:"entries"`
	}
	w.sys.get(t, "/1.0/audit", &answer)
	lines := []string{}
	for _, e := range answer.Entries {
		if e.Action == "retire" {
			lines = append(lines, fmt.Sprintf("%s: %s %s: %s", e.Who, e.Subject, e.After, e.Result))
		}
	}
	return lines
}

func TestRetire(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"gitlab", "gitea"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			w := newRetiring(t, kind, nil)
			refs := w.refs(t, w.down+"/two")
			w.want(t, "one")
			await(t, "the mirror to be archived", func() bool { return w.archived(t, "two") })
			if w.archived(t, "one") {
				t.Error("the other mirror is archived too")
			}
			if diff := cmp.Diff(refs, w.refs(t, w.down+"/two")); diff != "" {
				t.Errorf("archiving changed the refs (-want +got):\n%s", diff)
			}
			await(t, "the audit", func() bool { return len(w.audit(t)) > 0 })
			if diff := cmp.Diff([]string{"controller: path=down/two archived: ok"}, w.audit(t)); diff != "" {
				t.Errorf("audit (-want +got):\n%s", diff)
			}
			if shown := w.sys.text(t, "/1.0/retirements"); !strings.Contains(shown, `[{"path":"down/two","state":"archived","attempts":1,"next":0,"error":"","archived":1`) {
				t.Errorf("what is archived is shown as %s", shown)
			}
			if f, there := w.facts(t, "a-left/one"); !there || f.Archived {
				t.Errorf("the mirror of the other section is there: %v, archived: %v", there, f.Archived)
			}
			w.want(t, "one", "two")
			w.await(t, "down/one", "down/two")
			if w.archived(t, "two") {
				t.Error("the Lorry is back, and its mirror is still archived")
			}
			if shown := w.sys.text(t, "/1.0/retirements"); !strings.Contains(shown, `"retirements":[]`) {
				t.Errorf("the Lorry is back, and its mirror is still shown: %s", shown)
			}
			// What a person archives stays so, and is told.
			w.archive(t, w.down+"/one")
			w.sys.kill(t)
			w.sys.launch(t)
			w.sys.post(t, "/1.0/retry", "path", w.down+"/one")
			await(t, "the refusal to be told", func() bool {
				return strings.Contains(w.sys.lorries(t)[w.down+"/one"].Failure.Cause, "archived")
			})
			if !w.archived(t, "one") {
				t.Error("it was revived unasked")
			}
		})
	}
}

// gate holds back the first request to archive, and tells that it came.
type gate struct {
	next http.Handler
	came chan struct{}
	once sync.Once
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	held := false
	if strings.HasSuffix(r.URL.Path, "/archive") {
		g.once.Do(func() { held = true })
	}
	if held {
		close(g.came)
		<-r.Context().Done() // until the adapter dies with its core
		return
	}
	g.next.ServeHTTP(w, r)
}

// A core that is killed after a Lorry went and before its mirror is archived
// leaves that to the next one.
func TestRetireAfterAKill(t *testing.T) {
	t.Parallel()
	g := &gate{came: make(chan struct{})}
	w := newRetiring(t, "gitlab", func(h http.Handler) http.Handler { g.next = h; return g })
	w.want(t, "one")
	await(t, "the host to be asked", func() bool {
		select {
		case <-g.came:
			return true
		default:
			return false
		}
	})
	w.sys.kill(t)
	if w.archived(t, "two") {
		t.Fatal("it is archived already: this test tries nothing")
	}
	w.sys.launch(t)
	await(t, "the mirror to be archived", func() bool { return w.archived(t, "two") })
	if _, there := w.sys.lorries(t)[w.down+"/two"]; there {
		t.Error("the Lorry is back")
	}
	w.want(t, "one", "two")
	w.await(t, "down/one", "down/two")
}
