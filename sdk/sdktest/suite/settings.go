package suite

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/lorry-controller/lorry-controller/sdk"
)

func settingsCases() []Case {
	return []Case{
		{Name: "refuses an unknown setting", Run: refusesUnknown},
		{Name: "refuses to miss a required setting", Run: refusesMissing},
		{Name: "refuses settings of the wrong type", Run: refusesWrongType},
		{Name: "refuses a value that is not one of those allowed", Run: refusesOther},
		{Name: "refuses a secret among the settings", Run: refusesPlainSecret},
		{Name: "tells all that is wrong at once", Run: tellsAll},
	}
}

// refused wants a diagnostic about each of the settings.
func (t *Trial) refused(ctx context.Context, role sdk.Role, h Host, about ...string) error {
	return t.session(ctx, func(c *Conn) error {
		diags, err := c.Validate(ctx, settings(role, h))
		if err != nil {
			return fmt.Errorf("wrong settings must be diagnostics, not an error: %w", err)
		}
		for _, name := range about {
			if !slices.ContainsFunc(errorsOf(diags), func(d sdk.Diagnostic) bool { return d.Path == name && d.Summary != "" }) {
				return fmt.Errorf("want an error about the setting %q as %s, got %+v", name, role, diags)
			}
		}
		return nil
	})
}

// vary gives the host of a role with one thing changed.
func (t *Trial) vary(role sdk.Role, change func(h Host)) Host {
	h := Host{map[string]any{}, map[string]string{}}
	maps.Copy(h.Settings, t.host(role).Settings)
	maps.Copy(h.Secrets, t.host(role).Secrets)
	change(h)
	return h
}

func refusesUnknown(ctx context.Context, t *Trial) error {
	const name = "no-such-setting"
	role := t.Desc.Roles[0]
	if err := t.refused(ctx, role, t.vary(role, func(h Host) { h.Settings[name] = "x" }), name); err != nil {
		return err
	}
	return t.refused(ctx, role, t.vary(role, func(h Host) { h.Secrets[name] = "xxxxxxxx" }), name)
}

func refusesMissing(ctx context.Context, t *Trial) error {
	for _, role := range t.Desc.Roles {
		for _, s := range t.Desc.Settings {
			if !needed(s, role) || s.Default != "" {
				continue
			}
			h := t.vary(role, func(h Host) {
				delete(h.Settings, s.Name)
				delete(h.Secrets, s.Name)
			})
			if err := t.refused(ctx, role, h, s.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

func refusesWrongType(ctx context.Context, t *Trial) error {
	role := t.Desc.Roles[0]
	for _, s := range t.Desc.Settings {
		if s.Type == "secret" {
			continue
		}
		h := t.vary(role, func(h Host) { h.Settings[s.Name] = map[string]any{"a": "b"} })
		if err := t.refused(ctx, role, h, s.Name); err != nil {
			return err
		}
	}
	return nil
}

func refusesOther(ctx context.Context, t *Trial) error {
	role := t.Desc.Roles[0]
	for _, s := range t.Desc.Settings {
		if len(s.OneOf) == 0 {
			continue
		}
		h := t.vary(role, func(h Host) { h.Settings[s.Name] = "none-of-them" })
		if err := t.refused(ctx, role, h, s.Name); err != nil {
			return err
		}
	}
	return nil
}

func refusesPlainSecret(ctx context.Context, t *Trial) error {
	role := t.Desc.Roles[0]
	for _, s := range t.Desc.Settings {
		if s.Type != "secret" {
			continue
		}
		h := t.vary(role, func(h Host) { h.Settings[s.Name] = "xxxxxxxx" })
		if err := t.refused(ctx, role, h, s.Name); err != nil {
			return err
		}
	}
	return nil
}

func tellsAll(ctx context.Context, t *Trial) error {
	role := t.Desc.Roles[0]
	h := t.vary(role, func(h Host) {
		h.Settings["no-such-setting-a"] = "x"
		h.Settings["no-such-setting-b"] = "x"
	})
	return t.refused(ctx, role, h, "no-such-setting-a", "no-such-setting-b")
}
