package adapter_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/adapter"
)

func TestApplyReplacesWhatChangedAlone(t *testing.T) {
	t.Parallel()
	dir := hostileDir(t, "hostile", "")
	opts := impatient()
	opts.Dir = dir
	same, changing, going := hostile("same", "", dir), hostile("changing", "", dir), hostile("going", "", dir)
	m := newManager(t, opts, same, changing, going)
	gone := upstreamOf(t, m, "going")
	for _, name := range []string{"same", "changing", "going"} {
		list(t, upstreamOf(t, m, name))
	}
	changing.Secrets = map[string]core.Secret{"token": core.NewSecret("another-one")}
	if err := m.Apply(t.Context(), []adapter.Instance{same, changing}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"same", "changing"} {
		list(t, upstreamOf(t, m, name))
	}
	if got := stateOf(t, m, "same").Starts; got != 1 {
		t.Errorf("the unchanged one was started %d times", got)
	}
	if got := stateOf(t, m, "changing").Starts; got != 2 {
		t.Errorf("the changed one was started %d times", got)
	}
	if _, err := m.Upstream("going"); err == nil || core.KindOf(err) != core.KindNotFound {
		t.Errorf("the removed one: %v", err)
	}
	if _, _, err := gone.Repo(t.Context(), "a"); err == nil || core.KindOf(err) != core.KindUnavailable {
		t.Errorf("a call of the removed one: %v", err)
	}
}

func TestNewProgramIsUsedAfterApply(t *testing.T) {
	t.Parallel()
	dir := hostileDir(t, "hostile", "")
	program := filepath.Join(dir, "lorry-adapter-hostile")
	opts := impatient()
	opts.Dir = dir
	inst := hostile("h", "", dir)
	m := newManager(t, opts, inst)
	list(t, upstreamOf(t, m, "h"))
	if err := errors.Join(os.Remove(program), copyFile(filepath.Join(bin, "lorry-adapter-hostile"), program)); err != nil {
		t.Fatal(err)
	}
	if err := m.Apply(t.Context(), []adapter.Instance{inst}); err != nil {
		t.Fatal(err)
	}
	list(t, upstreamOf(t, m, "h"))
	if got := stateOf(t, m, "h").Starts; got != 2 {
		t.Errorf("it was started %d times", got)
	}
}

func copyFile(from, to string) error {
	raw, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	// Written aside and renamed, so that nothing has it open for writing when it is started.
	if err := os.WriteFile(to+".new", raw, 0o700); err != nil { //nolint:gosec // a program
		return err
	}
	return os.Rename(to+".new", to)
}

func TestTwoHostsOfOneNameAreTold(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := newManager(t, impatient())
	err := m.Apply(t.Context(), []adapter.Instance{hostile("h", "", dir), hostile("h", "exit", dir)})
	if err == nil || !strings.Contains(err.Error(), `two hosts named "h"`) {
		t.Errorf("got %v", err)
	}
	if _, _, err := upstreamOf(t, m, "h").Repo(t.Context(), "a"); err != nil {
		t.Errorf("the first is not used: %v", err)
	}
}

func TestUnknownSettingsAreRefusedOrLeftOut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	strict, lenient := hostile("strict", "", dir), hostile("lenient", "", dir)
	strict.Settings["group"], lenient.Settings["group"] = "x", "x"
	lenient.IgnoreUnknown = true
	m := newManager(t, impatient(), strict, lenient)
	list(t, upstreamOf(t, m, "lenient"))
	err := m.Check(t.Context(), "strict")
	if err == nil || !strings.Contains(err.Error(), `there is no setting "group"`) {
		t.Errorf("want the setting to be named, got %v", err)
	}
}

func TestUnsuitableRoleIsTold(t *testing.T) {
	t.Parallel()
	opts := impatient()
	opts.Dir = hostileDir(t, "hostile", "upstream-only")
	m := newManager(t, opts, hostile(adapter.DownstreamName, "", t.TempDir()))
	down, err := m.Downstream(adapter.DownstreamName)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := down.EnsureRepo(t.Context(), core.Want{Path: "a"}); err == nil || !strings.Contains(err.Error(), "can't be used as downstream") {
		t.Errorf("got %v", err)
	}
}

func TestSecretsAreReadAtEachStart(t *testing.T) {
	t.Parallel()
	reads := make(chan string, 10)
	opts := impatient()
	opts.ReadSecrets = func(_ context.Context, inst adapter.Instance) (map[string]core.Secret, error) {
		reads <- inst.Name
		return inst.Secrets, nil
	}
	m := newManager(t, opts, hostile("h", "", t.TempDir()))
	list(t, upstreamOf(t, m, "h"))
	if err := m.Restart(t.Context(), "h"); err != nil {
		t.Fatal(err)
	}
	if len(reads) != 2 {
		t.Errorf("they were read %d times", len(reads))
	}
}

func TestClosedManagerRefuses(t *testing.T) {
	t.Parallel()
	m := adapter.NewManager(impatient())
	if err := m.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := m.Apply(t.Context(), nil); err == nil {
		t.Error("Apply works")
	}
	if _, err := m.Upstream("h"); err == nil {
		t.Error("Upstream works")
	}
	if err := m.Close(t.Context()); err != nil {
		t.Errorf("closing again: %v", err)
	}
}
