package childproc

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

func newGit(t *testing.T) *Git {
	t.Helper()
	gittest.Require(t, "git")
	g, err := NewGit(GitOptions{Home: filepath.Join(t.TempDir(), "home")})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGitUsesOnlyTheWantedTransport(t *testing.T) {
	t.Parallel()
	g := newGit(t)
	repo := gittest.Seed(t, filepath.Join(t.TempDir(), "up.git"))
	canary := filepath.Join(t.TempDir(), "canary")
	allowAll := []Setting{{"protocol.allow", "always"}, {"protocol.ext.allow", "always"}}
	for _, test := range []struct {
		name, url string
		protocols []string
		ok        bool
	}{
		{"file as wanted", repo.Dir, []string{ProtoFile}, true},
		{"file by URL", "file://" + repo.Dir, []string{ProtoFile}, true},
		{"file though https is wanted", repo.Dir, []string{ProtoHTTPS}, false},
		{"nothing is wanted", repo.Dir, nil, false},
		{"a helper", "ext::touch " + canary, []string{ProtoFile, ProtoHTTPS, ProtoSSH}, false},
		{"an option", "--upload-pack=touch " + canary, []string{ProtoFile}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			out, err := g.Output(t.Context(), GitCall{Args: []string{"ls-remote", "--", test.url}, Protocols: test.protocols, Config: allowAll})
			if (err == nil) != test.ok {
				t.Errorf("got %q, %v", out, err)
			}
			if _, err := os.Stat(canary); err == nil {
				t.Error("a command ran")
			}
		})
	}
}

func TestGitEnvironmentHidesNoSecretInArguments(t *testing.T) {
	t.Parallel()
	g := newGit(t)
	access := &core.Access{URL: "https://example.com:8443/a/b.git", Username: "me", Secret: core.NewSecret("s3cret"), SkipCertificates: true}
	env, cleanup, err := g.environment(GitCall{Access: access, Protocols: []string{ProtoHTTPS}})
	if err != nil {
		t.Fatal(err)
	}
	defer cleanup()
	all := strings.Join(env, "\n")
	for _, want := range []string{
		"=http.https://example.com:8443/.extraHeader\n", "=Authorization: Basic bWU6czNjcmV0", "=http.https://example.com:8443/.sslVerify\n",
		"GIT_ALLOW_PROTOCOL=https\n", "GIT_TERMINAL_PROMPT=0\n", "GIT_CONFIG_NOSYSTEM=1\n",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in the environment", want)
		}
	}
	if strings.Contains(all, "s3cret") {
		t.Error("the secret stands there in the open")
	}
	for _, a := range []*core.Access{nil, {URL: "/srv/x", Secret: access.Secret}, {URL: "ssh://git@example.com/x", Secret: access.Secret}} {
		if got, err := g.accessConfig(a); len(got) > 0 || err != nil {
			t.Errorf("%v: got %v, %v", a, got, err)
		}
	}
}

// The authorities of one host are for that host alone, beside the system's and
// those that the program was given for all.
func TestAuthoritiesOfOneHost(t *testing.T) {
	t.Parallel()
	certificate := func(text string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte(text)}))
	}
	dir := t.TempDir()
	own := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(own, []byte(certificate("of the program")), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"", own} {
		g, err := NewGit(GitOptions{Home: t.TempDir(), CAFile: file})
		if err != nil {
			t.Fatal(err)
		}
		access := &core.Access{URL: "https://example.com:8443/a/b.git", Authorities: certificate("of the host")}
		got, err := g.accessConfig(access)
		if err != nil || len(got) != 1 || got[0].Key != "http.https://example.com:8443/.sslCAInfo" {
			t.Fatalf("got %v, %v", got, err)
		}
		text, err := os.ReadFile(got[0].Value)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(string(text), access.Authorities) || strings.Contains(string(text), certificate("of the program")) != (file != "") {
			t.Errorf("with %q, git is to trust\n%s", file, text)
		}
		if again, err := g.accessConfig(access); err != nil || again[0] != got[0] {
			t.Errorf("the second call gets %v, %v", again, err)
		}
		access.Authorities = "no certificate"
		if _, err := g.accessConfig(access); core.KindOf(err) != core.KindInvalid {
			t.Errorf("want kind %q, got %v", core.KindInvalid, err)
		}
		access.URL = "ssh://git@example.com/a"
		if got, err := g.accessConfig(access); err != nil || len(got) > 0 {
			t.Errorf("over ssh: %v, %v", got, err)
		}
	}
}

func TestKnownHostsOfOneCall(t *testing.T) {
	t.Parallel()
	g := newGit(t)
	command, cleanup, err := g.sshCommand(&core.Access{KnownHosts: "example.com ssh-ed25519 AAAA"})
	if err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(g.Home(), "tmp", "known_hosts-*"))
	if len(files) != 1 || !strings.Contains(command, `'-oUserKnownHostsFile="`+files[0]+`"'`) {
		t.Errorf("files %v, command %s", files, command)
	}
	cleanup()
	if left, _ := filepath.Glob(filepath.Join(g.Home(), "tmp", "*")); len(left) > 0 {
		t.Errorf("%v were left", left)
	}
	for _, want := range []string{"'-oBatchMode=yes'", "'-oStrictHostKeyChecking=yes'"} {
		if !strings.Contains(command, want) {
			t.Errorf("no %s in %s", want, command)
		}
	}
}

func TestShellQuote(t *testing.T) {
	t.Parallel()
	text := `it's $(touch x) "and" \ more`
	var out bytes.Buffer
	err := Run(t.Context(), Spec{Name: "sh", Args: []string{"-c", "printf %s " + shellQuote(text)}, Env: []string{testPath}, Stdout: &out})
	if diff := cmp.Diff(text, out.String()); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

func TestGitErrorIsRedactedAndTyped(t *testing.T) {
	t.Parallel()
	g := newGit(t)
	var stderr bytes.Buffer
	err := g.Run(t.Context(), GitCall{Args: []string{"no-such-command-topsecret"}, Secrets: []string{"topsecret"}, Stderr: &stderr})
	var e *ExitError
	if !errors.As(err, &e) || e.Code != 1 || strings.Contains(err.Error()+e.Stderr+stderr.String(), "topsecret") {
		t.Errorf("got %v, %q", err, stderr.String())
	}
}

// Neither hooks of a repository on this machine nor its owner have a say in what
// is pushed to it.
func TestHooksOfTheTargetTakeNoPart(t *testing.T) {
	t.Parallel()
	g := newGit(t)
	from, to := filepath.Join(t.TempDir(), "from.git"), filepath.Join(t.TempDir(), "to.git")
	for _, dir := range []string{from, to} {
		if err := g.Run(t.Context(), GitCall{Args: []string{"init", "--quiet", "--bare", "--", dir}}); err != nil {
			t.Fatal(err)
		}
	}
	const commit = "commit refs/heads/main\ncommitter A <a@example.com> 0 +0000\ndata 1\nx\n"
	if err := g.Run(t.Context(), GitCall{GitDir: from, Args: []string{"fast-import", "--quiet"}, Stdin: strings.NewReader(commit)}); err != nil {
		t.Fatal(err)
	}
	for _, hook := range []string{"pre-receive", "update", "post-receive"} {
		file := filepath.Join(to, "hooks", hook)
		script := "#!/bin/sh\ntouch " + filepath.Join(to, "ran") + "\nexit 1\n"
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(script), 0o700)); err != nil {
			t.Fatal(err)
		}
	}
	if os.Geteuid() == 0 { // somebody else's
		if err := os.Chown(to, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	for _, deferred := range []bool{false, true} {
		spec := fmt.Sprintf("refs/heads/main:refs/heads/main-%v", deferred)
		err := g.Run(t.Context(), GitCall{
			GitDir: from, Args: []string{"push", "--quiet", "--", to, spec}, Protocols: []string{ProtoFile}, DeferRefSync: deferred,
		})
		if err != nil {
			t.Errorf("pushing %s: %v", spec, err)
		}
	}
	if _, err := os.Stat(filepath.Join(to, "ran")); err == nil {
		t.Error("a hook ran")
	}
}

// TestPatience: a call that leaves a server much to write waits longer for it.
func TestPatience(t *testing.T) {
	t.Parallel()
	g := newGit(t)
	usual, err := g.Output(t.Context(), GitCall{Args: []string{"config", "http.lowSpeedTime"}})
	if err != nil || usual != seconds(g.opts.LowSpeedTime)+"\n" {
		t.Errorf("got %q, %v", usual, err)
	}
	longer, err := g.Output(t.Context(), GitCall{Args: []string{"config", "http.lowSpeedTime"}, Patience: 90*time.Second + 1})
	if want := seconds(g.opts.LowSpeedTime+91*time.Second) + "\n"; err != nil || longer != want {
		t.Errorf("want %q, got %q, %v", want, longer, err)
	}
}

func TestGitHomeIsPrivate(t *testing.T) {
	t.Parallel()
	g := newGit(t)
	info, err := os.Stat(g.Home())
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
	for _, deferred := range []bool{false, true} {
		out, err := g.Output(t.Context(), GitCall{Args: []string{"config", "--global", "core.fsync"}, DeferRefSync: deferred})
		if want := synced(deferred) + "\n"; err != nil || out != want {
			t.Errorf("want %q, got %q, %v", want, out, err)
		}
	}
}
