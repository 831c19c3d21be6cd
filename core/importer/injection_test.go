package importer

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/spec"
)

// hostileAddresses are addresses that one program or another has taken for an
// option or a command; CMD stands for a command without blanks, COMMAND for one
// with them.
func hostileAddresses() []string {
	return []string{
		"--upload-pack=COMMAND", "--upload-pack=CMD", "-uCMD", "--config=alias.clone=!COMMAND", "--config=hooks.pre-clone=CMD", "--config-option=config:tunnels:ssh=CMD",
		"-oProxyCommand=CMD", "-d:ext:x@y:/z", "--debugger", "-Ossh=CMD",
		"ssh://-oProxyCommand=CMD/x", "ssh://-oProxyCommand=CMD@127.0.0.1:1/x", "ssh://127.0.0.1:1/-oProxyCommand=CMD", "ssh://%2doProxyCommand=CMD/x",
		"svn+ssh://-oProxyCommand=CMD/x", "bzr+ssh://-oProxyCommand=CMD/x", "svn+tunnel://CMD/x", "svn+CMD://127.0.0.1:1/x",
		"git@-oProxyCommand=CMD:x", "-oProxyCommand=CMD@127.0.0.1:x", ":ext:-oProxyCommand=CMD@127.0.0.1:/x", ":ext;CVS_RSH=CMD:a@127.0.0.1:/x", ":server:-oProxyCommand=CMD@127.0.0.1:/x",
		":pserver;proxy=CMD:a@127.0.0.1:1/x", ":fork:/x;CMD", ":local:/x`CMD`", ":local:/$(CMD)",
		"ext::sh -c COMMAND", "ext::CMD", "fd::3", "transport::CMD", "lp:;CMD", "file:///x;CMD", "file://$(CMD)/x", "/x;CMD", "/x`CMD`", "/$(CMD)", "/x|CMD", "$(CMD):x", "`CMD`:x",
		"https://127.0.0.1:1/$(CMD).tar.gz", "https://127.0.0.1:1/`CMD`.zip", "https://$(CMD)@127.0.0.1:1/x.tar", "http://127.0.0.1:1/|CMD", "git://127.0.0.1:1/--upload-pack=CMD", "git://-x/CMD",
	}
}

// hostileKeys are whole specifications whose other keys hold the same.
func hostileKeys(up string) []map[string]any {
	list := []map[string]any{}
	for _, text := range []string{"--upload-pack=CMD", "-oProxyCommand=CMD", "$(CMD)", "`CMD`", "x;CMD", "|CMD", "ext::CMD", "x\nCMD", "--exec=CMD", "../../x"} {
		list = append(list,
			map[string]any{"type": "git", "url": up, "refspecs": []string{text}},
			map[string]any{"type": "git", "url": up, "refspecs": []string{"refs/heads/*:" + text}},
			map[string]any{"type": "git", "url": up, "source-HEAD": text},
			map[string]any{"type": "git", "url": up, "ref_patterns": []string{text}, "ignore_patterns": []string{text}},
			map[string]any{"type": "git", "url": up, "description": text},
			map[string]any{"type": "cvs", "url": "/nowhere", "module": text},
			map[string]any{"type": "svn", "url": "file:///nowhere", "layout": map[string]any{"trunk": text, "branches": text + "/*", "tags": text + "/*"}},
			map[string]any{"type": "bzr", "branches": map[string]any{text: "/nowhere"}},
			map[string]any{"type": "tarball", "url": "/nowhere/" + text, "sha256sum": text},
			map[string]any{"type": "raw-file", "urls": []any{map[string]any{"url": "/nowhere", "destination": text, "sha256sum": text}}})
	}
	return list
}

// trap makes commands whose traces are looked for.
type trap struct {
	dir string
	n   int
}

// set gives a text with a command of its own in it.
func (c *trap) set(text string) string {
	c.n++
	file := filepath.Join(c.dir, fmt.Sprint("canary-", c.n))
	text = strings.ReplaceAll(text, "COMMAND", "touch "+file)
	return strings.ReplaceAll(text, "CMD", "touch${IFS}"+file)
}

// fired gives the traces.
func (c *trap) fired(t *testing.T) []string {
	t.Helper()
	traces, err := filepath.Glob(filepath.Join(c.dir, "canary-*"))
	if err != nil {
		t.Fatal(err)
	}
	return traces
}

// quietly runs one specification by hand; what it says is thrown away.
func (w *world) quietly(s spec.Spec) int {
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	w.opts.Spec, w.opts.Request, w.opts.PullOnly = s, nil, true
	return Run(ctx, w.opts).Exit
}

// TestInjectionCorpus gives every kind of source every hostile address and key:
// as a specification says it, and past the checks of a specification, as if these
// had a hole. None becomes an option or a command.
func TestInjectionCorpus(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	placed := 0
	t.Run("all", func(t *testing.T) {
		for _, kind := range spec.Types() {
			t.Run(string(kind), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				c := &trap{dir: t.TempDir()}
				for _, address := range hostileAddresses() {
					text, err := json.Marshal(map[string]any{"group/thing": map[string]any{"type": string(kind), "url": c.set(address), "module": "m"}})
					if err != nil {
						t.Fatal(err)
					}
					if specs, _ := spec.Parse("evil.lorry", text); len(specs) == 1 && w.quietly(specs[0]) == ExitDone {
						t.Errorf("%s was imported", address)
					}
				}
				for _, address := range hostileAddresses()[:6] {
					s := spec.Spec{Name: "group/thing", Type: kind, Module: "m", Access: core.Access{URL: c.set(address)}}
					if w.quietly(s) == ExitDone {
						t.Errorf("%s was imported", address)
					}
				}
				if traces := c.fired(t); len(traces) > 0 {
					t.Errorf("%d commands ran: %v", len(traces), traces)
				}
				mu.Lock()
				defer mu.Unlock()
				placed += c.n
			})
		}
		t.Run("keys", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c := &trap{dir: t.TempDir()}
			for i, keys := range hostileKeys(w.up.Dir) {
				text, err := json.Marshal(map[string]any{fmt.Sprint("group/thing-", i): keys})
				if err != nil {
					t.Fatal(err)
				}
				specs, _ := spec.Parse("evil.lorry", []byte(c.set(string(text))))
				for _, s := range specs {
					w.quietly(s)
				}
			}
			for _, name := range []string{"../../CMD", "-x/CMD", "$(CMD)", "/etc/CMD", "a/../../CMD", "`CMD`"} {
				w.quietly(spec.Spec{Name: c.set(name), Type: spec.Git, Access: core.Access{URL: w.up.Dir}})
			}
			if traces := c.fired(t); len(traces) > 0 {
				t.Errorf("%d commands ran: %v", len(traces), traces)
			}
			if outside, err := os.ReadDir(filepath.Dir(w.opts.WorkingArea)); err != nil || len(outside) != 4 {
				t.Errorf("beside the working area: %v, %v", outside, err)
			}
			mu.Lock()
			defer mu.Unlock()
			placed += c.n
		})
	})
	t.Logf("%d canaries were placed, none fired", placed)
	if placed < 500 {
		t.Errorf("only %d canaries were placed", placed)
	}
}
