package suite

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lorry-controller/lorry-controller/sdk"
)

func secretCases() []Case {
	return []Case{
		{Name: "keeps secrets out of errors", Run: keepsSecrets},
		{Name: "keeps secrets out of errors about them", Run: keepsWrongSecrets},
	}
}

// leaked says in which of the texts one of the secrets is.
func leaked(secrets map[string]string, texts []string) error {
	for name, secret := range secrets {
		for _, text := range texts {
			if len(secret) >= 8 && strings.Contains(text, secret) {
				return fmt.Errorf("the secret %q is told in %q", name, strings.ReplaceAll(text, secret, "[it]"))
			}
		}
	}
	return nil
}

// words are all texts that an error and diagnostics have for people.
func words(err error, diags ...sdk.Diagnostic) []string {
	var list []string
	var e *sdk.Error
	if err != nil {
		list = append(list, err.Error())
	}
	if errors.As(err, &e) {
		list = append(list, e.Hint, e.Subject)
	}
	for _, d := range diags {
		list = append(list, d.Summary, d.Detail, d.Path)
	}
	return list
}

// failures makes calls that fail, and gives what was told of it.
func failures(ctx context.Context, c *Conn, role sdk.Role) []string {
	var list []string
	for _, p := range []string{"conform/there-is-no-such-repository", "..", "conform/" + strings.Repeat("x", 300)} {
		var err error
		if role == sdk.RoleDownstream {
			err = c.AfterPush(ctx, sdk.Want{Path: p, Head: "refs/heads/main"})
		} else {
			_, _, err = c.Repo(ctx, p)
		}
		list = append(list, words(err)...)
	}
	return list
}

func keepsSecrets(ctx context.Context, t *Trial) error {
	for _, role := range t.Desc.Roles {
		err := t.configured(ctx, role, t.host(role), func(c *Conn) error {
			return leaked(t.host(role).Secrets, failures(ctx, c, role))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// keepsWrongSecrets configures the adapter with credentials that the host does
// not know. Whether and when that fails is the host's business.
func keepsWrongSecrets(ctx context.Context, t *Trial) error {
	for _, role := range t.Desc.Roles {
		wrong := t.vary(role, func(h Host) {
			for name := range h.Secrets {
				h.Secrets[name] = "wrong-canary-" + name
			}
		})
		err := t.session(ctx, func(c *Conn) error {
			diags, err := c.Configure(ctx, settings(role, wrong))
			texts := words(err, diags...)
			if err == nil && len(errorsOf(diags)) == 0 {
				report, err := c.Check(ctx)
				texts = append(texts, words(err, report.Diagnostics...)...)
				texts = append(texts, failures(ctx, c, role)...)
				texts = append(texts, words(c.Close(ctx))...)
			}
			return leaked(wrong.Secrets, append(texts, c.Logs()))
		})
		if err != nil {
			return err
		}
	}
	return nil
}
