package adapter_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/adapter"
)

// safeBuffer is a log that several goroutines write.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// TestSecretOfOneAdapterIsFoundNowhere gives a canary to adapters that log it,
// print it, panic with it and put it into every answer, and then looks for it
// wherever the core or another adapter could have put it.
func TestSecretOfOneAdapterIsFoundNowhere(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("DATABASE_URL", "canary-of-the-core")
	log := &safeBuffer{}
	opts := impatient()
	opts.Log = hclog.New(&hclog.LoggerOptions{Output: log, Level: hclog.Trace})
	modes := []string{
		"leak", "tell", "tell-url", "tell-path", "panic", "bad-error", "refuse",
		"panic-in-configure", "panic-elsewhere-with-secret", "environment",
	}
	var instances []adapter.Instance
	for _, mode := range modes {
		instances = append(instances, hostile(mode, mode, dir))
	}
	bystander := hostile("bystander", "", dir)
	bystander.Secrets = nil
	downstream := hostile(adapter.DownstreamName, "tell", dir)
	m := newManager(t, opts, append(instances, bystander, downstream)...)
	list(t, upstreamOf(t, m, "bystander"))

	found := map[string]string{} // text by where it was found
	for _, mode := range modes {
		found["answers of "+mode] = askAll(t, m, mode)
	}
	found["answers of the downstream"] = askDownstream(t, m)
	processes := processTexts()
	if len(processes) == 0 {
		t.Error("no process of an adapter was looked at")
	}
	for where, text := range processes {
		found[where] = text
	}
	raw, err := os.ReadFile(filepath.Join(dir, "environment"))
	if err != nil {
		t.Fatal(err)
	}
	found["environment"] = string(raw)
	await(t, "the adapters' own words", func() bool {
		s := log.String()
		return strings.Contains(s, "the token is [secret]") && strings.Contains(s, "on stderr: [secret]") &&
			strings.Contains(s, "should not have happened") && strings.Contains(s, "open knows [secret]") && strings.Contains(s, "a goroutine: [secret]")
	})
	states, err := json.Marshal(m.States())
	if err != nil {
		t.Fatal(err)
	}
	found["states"], found["states, printed"] = string(states), fmt.Sprintf("%+v %#v", m.States(), m.States())
	found["log"] = log.String()
	for where, text := range found {
		if i := strings.Index(text, "canary"); i >= 0 {
			t.Errorf("%s: …%s…", where, text[max(0, i-200):min(len(text), i+100)])
		}
	}
}

// askAll makes every call of an Upstream Host and gives what came of it, as the
// core would pass it on. What an Access keeps as a secret is meant to be there.
func askAll(t *testing.T, m *adapter.Manager, name string) string {
	t.Helper()
	up := upstreamOf(t, m, name)
	repo, access, err := up.Repo(t.Context(), "a")
	text := fmt.Sprintf("%+v %+v %s", repo, access, errorText(err))
	for repo, err := range up.Repos(t.Context()) {
		text += fmt.Sprintf("%+v %s", repo, errorText(err))
	}
	return text + errorText(m.Check(t.Context(), name))
}

func askDownstream(t *testing.T, m *adapter.Manager) string {
	t.Helper()
	down, err := m.Downstream(adapter.DownstreamName)
	if err != nil {
		t.Fatal(err)
	}
	have, err := down.EnsureRepo(t.Context(), core.Want{Path: "a"})
	return fmt.Sprintf("%+v %s", have, errorText(err))
}

// errorText gives all that an error could be printed as.
func errorText(err error) string {
	text := fmt.Sprintf("%v %+v", err, err)
	for ; err != nil; err = errors.Unwrap(err) {
		text += fmt.Sprintf(" %#v", err)
		var e *core.Error
		if errors.As(err, &e) {
			text += fmt.Sprintf(" %+v", *e)
		}
	}
	return text
}

// processTexts gives the arguments and the environment of all adapters that
// run.
func processTexts() map[string]string {
	texts := map[string]string{}
	for _, dir := range running() {
		for _, file := range []string{"cmdline", "environ"} {
			if raw, err := os.ReadFile(filepath.Join(dir, file)); err == nil {
				texts[filepath.Join(dir, file)] = string(raw)
			}
		}
	}
	return texts
}
