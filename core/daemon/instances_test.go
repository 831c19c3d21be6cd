package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/adapter"
	"github.com/lorry-controller/lorry-controller/core/confgit"
	"github.com/lorry-controller/lorry-controller/core/settings"
	"github.com/lorry-controller/lorry-controller/core/telemetry"
)

func TestATokenFileIsReadAtEachStart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	d := &Daemon{redactor: telemetry.NewRedactor()}
	d.config.Downstream = settings.Downstream{Type: "gitlab", GitLabToken: core.NewSecret("first-token"), SecretFiles: map[string]string{"private-token": file}}
	instance := downstreamInstance(d.config.Downstream)
	read := func() string {
		t.Helper()
		secrets, err := d.readSecrets(t.Context(), instance)
		if err != nil {
			t.Fatal(err)
		}
		return secrets["private-token"].Reveal()
	}
	for _, want := range []string{"second-token", "third-token"} {
		if err := os.WriteFile(file, []byte(want+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := read(); got != want {
			t.Errorf("want %q, got %q", want, got)
		}
		if line := d.redactor.Redact("it says " + want); strings.Contains(line, want) {
			t.Errorf("the new token is not kept out of the log: %q", line)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if _, err := d.readSecrets(t.Context(), instance); err == nil || core.KindOf(err) != core.KindUnavailable {
		t.Errorf("want kind %s, got %v", core.KindUnavailable, err)
	}
	host := adapter.Instance{Name: "forge", Secrets: map[string]core.Secret{"private-token": core.NewSecret("own")}}
	if secrets, err := d.readSecrets(t.Context(), host); err != nil || secrets["private-token"].Reveal() != "own" {
		t.Errorf("an Upstream Host got another secret: %v", err)
	}
}

func TestFurtherSettingsReachTheDownstreamAdapter(t *testing.T) {
	t.Parallel()
	got := downstreamInstance(settings.Downstream{
		Type: "gerrit", SSHURL: "ssh://git@git.example.com", HTTPURL: "https://git.example.com/", Visibility: "private",
		GerritParent: "mirrors", Settings: map[string]string{"api": "rest", "visibility": "public"},
	})
	want := map[string]any{
		"ssh-url": "ssh://git@git.example.com", "http-url": "https://git.example.com/", "visibility": "public",
		"parent-project": "mirrors", "api": "rest",
	}
	if diff := cmp.Diff(want, got.Settings); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

func TestSecretsOfAHostAreNoSettings(t *testing.T) {
	t.Parallel()
	h := core.Host{Name: "forge.example.com", Type: "gitlab", Protocol: "https", Settings: map[string]any{"group": "g"}, SkipCertificates: true}
	got := hostInstance(h, confgit.HostSecrets{Username: "u", Password: core.NewSecret("p"), Token: core.NewSecret("t")})
	want := map[string]any{"group": "g", "host": "forge.example.com", "protocol": "https", "username": "u", "check-certificates": false}
	if diff := cmp.Diff(want, got.Settings); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	if got.Secrets["password"].Reveal() != "p" || got.Secrets["private-token"].Reveal() != "t" || !got.SkipCertificates {
		t.Errorf("got %v", got)
	}
	if len(h.Settings) != 1 {
		t.Error("the settings of CONFGIT were changed")
	}
}

func TestTheConnectionsOfHostsAreAsSet(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		what           string
		got            adapter.Instance
		skip, insecure bool
	}{
		{"a host", hostInstance(core.Host{Type: "gitea", Settings: map[string]any{}}, confgit.HostSecrets{}), false, false},
		{"a host with credentials all the same", hostInstance(core.Host{Type: "gitea", SkipCertificates: true, Settings: map[string]any{"insecure-credentials": true}}, confgit.HostSecrets{}), true, true},
		{"a host that says so in words", hostInstance(core.Host{Type: "gitea", Settings: map[string]any{"insecure-credentials": "Yes"}}, confgit.HostSecrets{}), false, true},
		{"the downstream", downstreamInstance(settings.Downstream{Type: "gitea"}), false, false},
		{"an unverified downstream", downstreamInstance(settings.Downstream{Type: "gitea", Settings: map[string]string{"check-certificates": "no"}}), true, false},
		{"one with credentials all the same", downstreamInstance(settings.Downstream{Type: "gitea", Settings: map[string]string{"check-certificates": "false", "insecure-credentials": "on"}}), true, true},
		{"a directory", downstreamInstance(settings.Downstream{Type: "local"}), false, false},
	} {
		if tc.got.SkipCertificates != tc.skip || tc.got.InsecureCredentials != tc.insecure {
			t.Errorf("%s: unverified %v, credentials %v", tc.what, tc.got.SkipCertificates, tc.got.InsecureCredentials)
		}
	}
}

func TestProxyOfProxyConf(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]confgit.Proxy{
		"":                                 {},
		"http://proxy.example.com:3128":    {Hostname: "proxy.example.com", Port: 3128},
		"http://me@proxy.example.com:3128": {Hostname: "proxy.example.com", Port: 3128, Username: "me"},
		"http://me:a%2Fb%40c@[::1]:80":     {Hostname: "::1", Port: 80, Username: "me", Password: core.NewSecret("a/b@c")},
	} {
		if got := proxyURL(p).Reveal(); got != want {
			t.Errorf("want %q, got %q", want, got)
		}
	}
}
