package confgit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/lorry-controller/lorry-controller/core"
)

// SecretVariables is how the names of those environment variables begin that
// CONFGIT may name as secrets. It may not see others.
const SecretVariables = "LORRY_SECRET_"

// maxSecret is the longest secret that is read, in bytes.
const maxSecret = 64 << 10

// SecretRef names a secret that is kept outside of CONFGIT: {"file": NAME} or
// {"env": NAME} in the place of its text. Its zero value names none.
type SecretRef struct {
	File string // below SecretSource.Dir
	Env  string
}

// SecretSource is where the secrets are that CONFGIT names. CONFGIT is trusted
// with what the operator has put there, and with nothing else.
type SecretSource struct {
	// Dir is the directory of their files; "" is none.
	Dir string
	// Getenv is os.LookupEnv.
	Getenv func(name string) (value string, there bool)
}

// Read reads a secret as it is now. Its error says what to do.
func (s *SecretSource) Read(ref SecretRef) (core.Secret, error) {
	text, err := s.text(ref)
	if err != nil {
		return core.Secret{}, err
	}
	text = strings.TrimSpace(text)
	switch {
	case text == "":
		return core.Secret{}, fmt.Errorf("%s is empty", ref)
	case strings.ContainsFunc(text, unicode.IsControl):
		return core.Secret{}, fmt.Errorf("%s has more than one line, or control characters", ref)
	}
	return core.NewSecret(text), nil
}

// String names the reference for people.
func (r SecretRef) String() string {
	if r.Env != "" {
		return fmt.Sprintf("the environment variable %q", r.Env)
	}
	return fmt.Sprintf("the file %q", r.File)
}

func (s *SecretSource) text(ref SecretRef) (string, error) {
	if ref.Env != "" {
		if !strings.HasPrefix(ref.Env, SecretVariables) {
			return "", fmt.Errorf("%s can't be named: its name must begin with %s", ref, SecretVariables)
		}
		text, there := s.Getenv(ref.Env)
		if !there {
			return "", fmt.Errorf("%s is not set where the controller runs", ref)
		}
		return text, nil
	}
	if s.Dir == "" {
		return "", fmt.Errorf("%s can't be read: the setting confgit-secrets must name the directory of such files", ref)
	}
	if !filepath.IsLocal(ref.File) || strings.HasPrefix(ref.File, ".") {
		return "", fmt.Errorf("%s must be below the directory of the setting confgit-secrets, and named from there on", ref)
	}
	root, err := os.OpenRoot(s.Dir)
	if err != nil {
		return "", fmt.Errorf("the directory of the setting confgit-secrets can't be opened: %w", bare(err))
	}
	defer func() { _ = root.Close() }()
	f, err := root.Open(ref.File)
	if err != nil {
		return "", fmt.Errorf("%s can't be read: %w", ref, bare(err))
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return "", fmt.Errorf("%s is no file", ref)
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("%s can't be read: %w", ref, bare(err))
	case len(raw) > maxSecret:
		return "", fmt.Errorf("%s is longer than a secret", ref)
	}
	return string(raw), nil
}

// bare leaves the path away, which is the operator's.
func bare(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// secret reads a credential: its text, or where it is kept. fault says what is
// wrong, or is "". Without a source of secrets nothing is looked up.
func (p *parser) secret(v *value) (secret core.Secret, ref SecretRef, fault string) {
	switch {
	case v.kind == textValue:
		return core.NewSecret(v.text), ref, ""
	case v.kind != objectValue || len(v.keys) != 1 || v.items[0].kind != textValue:
		return secret, ref, `must be a text, or {"file": NAME} or {"env": NAME} for one that is kept elsewhere`
	}
	switch v.keys[0] {
	case "file":
		ref.File = v.items[0].text
	case "env":
		ref.Env = v.items[0].text
	}
	if ref == (SecretRef{}) {
		return secret, ref, `must name a file or an environment variable: {"file": NAME} or {"env": NAME}`
	}
	if p.rules.Secrets == nil {
		return secret, ref, ""
	}
	secret, err := p.rules.Secrets.Read(ref)
	if err != nil {
		p.config.Unresolved = true
		return secret, ref, "is kept elsewhere, and " + err.Error()
	}
	return secret, ref, ""
}

// Afresh reads what is kept outside of CONFGIT once more, since it may have been
// replaced there, and gives it by the names that adapters have for it.
func (h HostSecrets) Afresh(source *SecretSource) (map[string]core.Secret, error) {
	fresh := map[string]core.Secret{}
	for name, ref := range h.Refs {
		secret, err := source.Read(ref)
		if err != nil {
			return nil, &core.Error{
				Kind: core.KindUnavailable, Err: err, Fact: fmt.Sprintf("the secret %q of the host's section: %v", name, err), Hint: "put it back to where CONFGIT says that it is",
			}
		}
		fresh[name] = secret
	}
	return fresh, nil
}
