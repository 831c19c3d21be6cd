package confgit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
)

// secretFiles makes a directory of secrets, as Kubernetes does one: of links
// within it.
func secretFiles(t *testing.T) *SecretSource {
	t.Helper()
	top := t.TempDir()
	dir := filepath.Join(top, "secrets")
	for name, text := range map[string]string{
		"secrets/..data/token": "file-token\n", "secrets/two": "a\nb\n", "secrets/empty": " \n", "outside": "precious",
		"secrets/long": strings.Repeat("x", maxSecret+1), "secrets/sub/proxy": "file-proxy",
	} {
		file := filepath.Join(top, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{"token": "..data/token", "out": "../outside"} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	variables := map[string]string{"LORRY_SECRET_PROXY": "env-proxy", "HOME": "/root", "LORRY_SECRET_EMPTY": ""}
	return &SecretSource{Dir: dir, Getenv: func(name string) (string, bool) {
		text, there := variables[name]
		return text, there
	}}
}

func hostWith(extra string) memory {
	return memory{ConfFile: `[
 {"type": "gitlab", "host": "git.example.com", "protocol": "https", "prefixmap": {"": ""}, "ls-interval": "1h", "interval": "1h",
` + extra + `}
]`}
}

func TestSecretsMayBeKeptElsewhere(t *testing.T) {
	t.Parallel()
	tree := hostWith(`  "private-token": {"file": "token"}, "auth": {"username": "me", "password": {"env": "LORRY_SECRET_PROXY"}},
  "proxy-password": {"file": "sub/proxy"}, "api-key": "in the file"`)
	tree["proxy.conf"] = `{"hostname": "proxy.example.com", "port": 3128, "username": "me", "password": {"env": "LORRY_SECRET_PROXY"}}`
	source := secretFiles(t)
	c, err := Parse(t.Context(), tree, "c", Rules{Secrets: source})
	if err != nil || len(c.Problems) > 0 || c.Unresolved {
		t.Fatalf("%v, %q", err, describeAll(c.Problems))
	}
	want := HostSecrets{
		Username: "me", Token: core.NewSecret("file-token"), Password: core.NewSecret("env-proxy"),
		Settings: map[string]core.Secret{"proxy-password": core.NewSecret("file-proxy"), "api-key": core.NewSecret("in the file")},
		Refs:     map[string]SecretRef{"private-token": {File: "token"}, "password": {Env: "LORRY_SECRET_PROXY"}, "proxy-password": {File: "sub/proxy"}},
	}
	got := c.Secrets["git.example.com"]
	if diff := cmp.Diff(want, got, secretsShown()); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
	if c.Proxy.Password.Reveal() != "env-proxy" {
		t.Errorf("the proxy's password is %q", c.Proxy.Password.Reveal())
	}
	for _, text := range []string{"file-token", "env-proxy", "file-proxy"} {
		if found := false; true {
			for _, s := range c.AllSecrets() {
				found = found || s.Reveal() == text
			}
			if !found {
				t.Errorf("%q is not among the secrets to be redacted", text)
			}
		}
	}

	// It was replaced there since.
	if err := os.WriteFile(filepath.Join(source.Dir, "..data/token"), []byte("newer"), 0o600); err != nil {
		t.Fatal(err)
	}
	fresh, err := got.Afresh(source)
	if err != nil || len(fresh) != 3 || fresh["private-token"].Reveal() != "newer" {
		t.Errorf("afresh: %v, %v", fresh, err)
	}
	if err := os.Remove(filepath.Join(source.Dir, "..data/token")); err != nil {
		t.Fatal(err)
	}
	if _, err := got.Afresh(source); err == nil || core.KindOf(err) != core.KindUnavailable || !strings.Contains(err.Error(), `the file "token" can't be read`) {
		t.Errorf("afresh without the file: %v", err)
	}

	// Who checks a CONFGIT elsewhere has no secrets, and no problem with that.
	c, err = Parse(t.Context(), tree, "c", Rules{})
	if err != nil || len(c.Problems) > 0 {
		t.Errorf("without a source: %v, %q", err, describeAll(c.Problems))
	}
}

// TestBadReferences: each is told with file, line and key, and its section is
// left out, so that what it gave before stays.
func TestBadReferences(t *testing.T) {
	t.Parallel()
	for ref, want := range map[string]string{
		`{"file": "none"}`:                 `the file "none" can't be read: no such file or directory`,
		`{"file": "../outside"}`:           `the file "../outside" must be below the directory of the setting confgit-secrets`,
		`{"file": "/etc/passwd"}`:          `the file "/etc/passwd" must be below`,
		`{"file": "out"}`:                  `the file "out" can't be read: path escapes from parent`,
		`{"file": "sub"}`:                  `the file "sub" is no file`,
		`{"file": "empty"}`:                `the file "empty" is empty`,
		`{"file": "two"}`:                  `the file "two" has more than one line`,
		`{"file": "long"}`:                 `the file "long" is longer than a secret`,
		`{"env": "HOME"}`:                  `the environment variable "HOME" can't be named: its name must begin with LORRY_SECRET_`,
		`{"env": "LORRY_SECRET_NONE"}`:     `the environment variable "LORRY_SECRET_NONE" is not set`,
		`{"env": "LORRY_SECRET_EMPTY"}`:    `the environment variable "LORRY_SECRET_EMPTY" is empty`,
		`{"env": ""}`:                      `must name a file or an environment variable`,
		`{"command": "cat"}`:               `must name a file or an environment variable`,
		`{"file": "token", "env": "HOME"}`: `must be a text, or {"file": NAME} or {"env": NAME}`,
		`7`:                                `must be a text, or {"file": NAME}`,
		`{"file": ["token"]}`:              `must be a text, or {"file": NAME}`,
	} {
		t.Run(ref, func(t *testing.T) {
			t.Parallel()
			source := secretFiles(t)
			c, err := Parse(t.Context(), hostWith(`  "private-token": `+ref), "c", Rules{Secrets: source})
			if err != nil {
				t.Fatal(err)
			}
			lines := describeAll(c.Problems)
			if len(lines) != 1 || !strings.HasPrefix(lines[0], "error lorry-controller.conf:3: private-token: ") || !strings.Contains(lines[0], want) ||
				!strings.HasSuffix(lines[0], "the section is left out") || len(c.Hosts) > 0 {
				t.Errorf("problems are %q, want %q", lines, want)
			}
			if strings.Contains(strings.Join(lines, ""), source.Dir) {
				t.Errorf("the operator's directory is told: %q", lines)
			}
		})
	}
}

func TestBadReferenceOfTheProxy(t *testing.T) {
	t.Parallel()
	tree := memory{ConfFile: "[]", "proxy.conf": "{\"hostname\": \"proxy.example.com\", \"port\": 3128,\n \"password\": {\"file\": \"none\"}}"}
	for _, source := range []*SecretSource{secretFiles(t), {}} {
		c, err := Parse(t.Context(), tree, "c", Rules{Secrets: source})
		if err != nil {
			t.Fatal(err)
		}
		lines := describeAll(c.Problems)
		if len(lines) != 1 || !strings.HasPrefix(lines[0], `error proxy.conf:2: password: is kept elsewhere, and the file "none" can't be read: `) || !c.Unresolved || c.Proxy.Hostname != "" {
			t.Errorf("problems are %q", lines)
		}
	}
}
