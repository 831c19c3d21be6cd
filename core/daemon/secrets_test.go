package daemon

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/confgit"
	"github.com/lorry-controller/lorry-controller/core/settings"
	"github.com/lorry-controller/lorry-controller/core/telemetry"
)

// TestSecretsKeptElsewhereAreReadAfresh: when hosts are applied and when an
// adapter starts; one that went away meanwhile does not take the host's with it.
func TestSecretsKeptElsewhereAreReadAfresh(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "secret"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := &Daemon{config: settings.Controller{Confgit: settings.Confgit{Secrets: dir}}, redactor: telemetry.NewRedactor(), log: hclog.NewNullLogger()}
	ref := confgit.SecretRef{File: "secret"}
	old := core.NewSecret("old")
	s := confgit.HostSecrets{Token: old, Password: core.NewSecret("own"), Refs: map[string]confgit.SecretRef{"private-token": ref}}
	proxy := confgit.Proxy{Hostname: "p", Port: 1, Password: old, Ref: ref}

	i := d.upstreamInstance(core.Host{Name: "git.example.com", Type: "gitlab"}, s)
	if i.Secrets["private-token"].Reveal() != "old" || d.freshProxy(proxy).Password.Reveal() != "old" {
		t.Error("a secret that can't be read is not what it was before")
	}
	if _, err := d.afresh(i, s); err == nil || core.KindOf(err) != core.KindUnavailable {
		t.Errorf("an adapter would start without its secret: %v", err)
	}
	write("new-secret")
	i = d.upstreamInstance(core.Host{Name: "git.example.com", Type: "gitlab"}, s)
	if i.Secrets["private-token"].Reveal() != "new-secret" || i.Secrets["password"].Reveal() != "own" || d.freshProxy(proxy).Password.Reveal() != "new-secret" {
		t.Errorf("secrets are %v", i.Secrets)
	}
	if got := d.redactor.Redact("it is new-secret"); got == "it is new-secret" {
		t.Error("it is not redacted")
	}
	write("newest")
	if secrets, err := d.afresh(i, s); err != nil || secrets["private-token"].Reveal() != "newest" {
		t.Errorf("at the start of the adapter: %v, %v", secrets, err)
	}
}
