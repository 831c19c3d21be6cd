package suite

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"

	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/host"
)

func protocolCases() []Case {
	return []Case{
		{Name: "describes itself the same each time, before it is configured", Run: describesItself},
		{Name: "describes itself well", Run: describesWell},
		{Name: "refuses calls before it is configured", Run: refusesUnconfigured},
		{Name: "only validates when asked to", Run: onlyValidates},
		{Name: "can be configured once", Run: configuredOnce},
		{Name: "refuses calls after it is closed", Run: refusesClosed},
		{Name: "checks its host", Run: checksHost, Leaks: true},
	}
}

func describesItself(ctx context.Context, t *Trial) error {
	return t.session(ctx, func(c *Conn) error {
		for range 3 {
			again, err := c.Describe(ctx)
			if err != nil {
				return err
			}
			if !reflect.DeepEqual(again, t.Desc) {
				return fmt.Errorf("it described itself as %+v, then as %+v", t.Desc, again)
			}
		}
		return nil
	})
}

var nameRE = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

func describesWell(_ context.Context, t *Trial) error {
	var faults []error
	if !nameRE.MatchString(t.Desc.Name) {
		faults = append(faults, fmt.Errorf("the name %q is not lower-case letters, digits and single dashes", t.Desc.Name))
	}
	seen := map[string]bool{}
	for _, s := range t.Desc.Settings {
		switch {
		case !nameRE.MatchString(s.Name):
			faults = append(faults, fmt.Errorf("the setting %q is not lower-case letters, digits and single dashes", s.Name))
		case seen[s.Name]:
			faults = append(faults, fmt.Errorf("there are two settings %q", s.Name))
		case s.Doc == "":
			faults = append(faults, fmt.Errorf("the setting %q has no documentation", s.Name))
		case s.Type == "secret" && s.Default != "":
			faults = append(faults, fmt.Errorf("the secret %q has a default", s.Name))
		case s.Default != "" && len(s.OneOf) > 0 && !slices.Contains(s.OneOf, s.Default):
			faults = append(faults, fmt.Errorf("the default of %q is not one of its values", s.Name))
		}
		seen[s.Name] = true
	}
	for _, role := range t.Desc.Roles {
		h := t.host(role)
		if len(h.Settings)+len(h.Secrets) == 0 && anyRequired(t.Desc, role) {
			faults = append(faults, fmt.Errorf("the fixture has no settings for the role %s that the adapter has", role))
		}
		for name := range h.Secrets {
			if i := slices.IndexFunc(t.Desc.Settings, func(s host.Setting) bool { return s.Name == name }); i < 0 || t.Desc.Settings[i].Type != "secret" {
				faults = append(faults, fmt.Errorf("the secret %q is not described as one", name))
			}
		}
	}
	return errors.Join(faults...)
}

func anyRequired(d host.Description, role sdk.Role) bool {
	return slices.ContainsFunc(d.Settings, func(s host.Setting) bool { return needed(s, role) })
}

// needed reports whether a setting must be given in a role.
func needed(s host.Setting, role sdk.Role) bool {
	return s.Required && (len(s.Roles) == 0 || slices.Contains(s.Roles, role))
}

// probe makes one call of a role.
func probe(ctx context.Context, c *Conn, role sdk.Role) error {
	var err error
	if role == sdk.RoleDownstream {
		_, err = c.Ensure(ctx, sdk.Want{Path: "conform/never"})
	} else {
		_, _, err = c.Repo(ctx, "conform/never")
	}
	return err
}

func refusesUnconfigured(ctx context.Context, t *Trial) error {
	return t.session(ctx, func(c *Conn) error {
		for _, role := range t.Desc.Roles {
			if err := wantKind("a call", probe(ctx, c, role), sdk.Invalid); err != nil {
				return err
			}
		}
		return nil
	})
}

func onlyValidates(ctx context.Context, t *Trial) error {
	role := t.Desc.Roles[0]
	return t.session(ctx, func(c *Conn) error {
		for range 2 {
			diags, err := c.Validate(ctx, settings(role, t.host(role)))
			if err != nil {
				return err
			}
			if bad := errorsOf(diags); len(bad) > 0 {
				return fmt.Errorf("the fixture's settings are refused: %v", bad)
			}
		}
		return wantKind("a call after a mere validation", probe(ctx, c, role), sdk.Invalid)
	})
}

func configuredOnce(ctx context.Context, t *Trial) error {
	role := t.Desc.Roles[0]
	return t.configured(ctx, role, t.host(role), func(c *Conn) error {
		_, err := c.Configure(ctx, settings(role, t.host(role)))
		return wantKind("configuring twice", err, sdk.Conflict)
	})
}

func refusesClosed(ctx context.Context, t *Trial) error {
	role := t.Desc.Roles[0]
	return t.session(ctx, func(c *Conn) error {
		if _, err := c.Configure(ctx, settings(role, t.host(role))); err != nil {
			return err
		}
		for range 2 {
			if err := c.Close(ctx); err != nil {
				return fmt.Errorf("closing: %w", err)
			}
		}
		return wantKind("a call after the end", probe(ctx, c, role), sdk.Invalid)
	})
}

func checksHost(ctx context.Context, t *Trial) error {
	for _, role := range t.Desc.Roles {
		err := t.configured(ctx, role, t.host(role), func(c *Conn) error {
			report, err := c.Check(ctx)
			if !t.Desc.Check {
				return wantKind("a check that is not described", err, sdk.Unsupported)
			}
			if err != nil {
				return err
			}
			if bad := errorsOf(report.Diagnostics); len(bad) > 0 {
				return fmt.Errorf("the check of the fixture's %s finds %v", role, bad)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
