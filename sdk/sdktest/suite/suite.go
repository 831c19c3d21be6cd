// Package suite is the list of cases that every adapter must pass, in process
// or as a program in any language.
//
// It speaks the real protocol and knows an adapter by what it describes alone,
// never by its name. It does not import testing, so that a command can run it;
// sdktest makes tests of it.
package suite

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/host"
)

// Host is what an adapter is configured with to reach a host.
type Host struct {
	Settings map[string]any
	Secrets  map[string]string
}

// Fixture is the hosts that an adapter is tried on. The fields of a role that
// the adapter does not have are left out.
type Fixture struct {
	// Upstream reaches an Upstream Host which has exactly Repos.
	Upstream Host
	// Repos are the paths of the repositories on Upstream, one at least.
	Repos []string
	// Seed makes an Upstream Host with n repositories; nil leaves the cases
	// out that need one.
	Seed func(n int) (Host, error)

	// Downstream reaches a Downstream Host that the suite may make
	// repositories on, below Prefix ("conform" when empty).
	Downstream Host
	Prefix     string
	// MaxDepth is how many components a path has at most on the Downstream
	// Host, as 2 where there are OWNER/NAME and nothing else; 0 is any number.
	// The suite keeps to it, and looks whether a longer path is refused.
	MaxDepth int
	// Refused are more paths that the Downstream Host can't have, such as those
	// with a name that it reserves. The suite looks whether they are.
	Refused []string
	// Verify looks on the Downstream Host itself whether a repository is as it
	// should be; nil leaves that out.
	Verify func(want sdk.Want, have sdk.Have) error
}

// Conn is one session with an adapter.
type Conn struct {
	*host.Client
	// Logs gives what the adapter has written so far.
	Logs func() string
	// Stop ends the session and says what was wrong with its end.
	Stop func() error
}

// Open makes a new session with an adapter that is not configured.
type Open func(ctx context.Context) (*Conn, error)

// Trial is one adapter with its hosts.
type Trial struct {
	Open    Open
	Fixture Fixture
	Desc    host.Description
}

// Case is one thing that an adapter must do.
type Case struct {
	Name string
	// Role is what the adapter must be for the case to be run; "" is any.
	Role sdk.Role
	Run  func(ctx context.Context, t *Trial) error
	// Seeds marks cases that need Fixture.Seed.
	Seeds bool
	// Leaks marks cases after which it pays to look for what was left behind.
	Leaks bool
}

// Cases gives all cases, in the order in which they are best read.
func Cases() []Case {
	var cases []Case
	cases = append(cases, protocolCases()...)
	cases = append(cases, settingsCases()...)
	cases = append(cases, secretCases()...)
	cases = append(cases, upstreamCases()...)
	cases = append(cases, downstreamCases()...)
	return append(cases, pathCases()...)
}

// caseTimeout bounds one case; the largest lists 10,000 repositories.
const caseTimeout = 2 * time.Minute

// Begin asks an adapter what it is, which decides what it has to pass.
func Begin(ctx context.Context, open Open, fx Fixture) (*Trial, error) {
	t := &Trial{Open: open, Fixture: fx}
	if t.Fixture.Prefix == "" {
		t.Fixture.Prefix = "conform"
	}
	err := t.session(ctx, func(c *Conn) error {
		var err error
		t.Desc, err = c.Describe(ctx)
		return err
	})
	return t, err
}

// Applies reports whether a case is for the adapter and its fixture.
func (t *Trial) Applies(c Case) bool {
	return (c.Role == sdk.RoleUnknown || t.Desc.Has(c.Role)) && (!c.Seeds || t.Fixture.Seed != nil)
}

// Run runs one case.
func (t *Trial) Run(ctx context.Context, c Case) error {
	ctx, cancel := context.WithTimeout(ctx, caseTimeout)
	defer cancel()
	return c.Run(ctx, t)
}

// host gives the host of a role.
func (t *Trial) host(role sdk.Role) Host {
	if role == sdk.RoleDownstream {
		return t.Fixture.Downstream
	}
	return t.Fixture.Upstream
}

// settings gives what an adapter is configured with for a role.
func settings(role sdk.Role, h Host) host.Settings {
	s := host.Settings{Instance: "conform", Role: role, Values: map[string]any{}, Secrets: map[string]sdk.Secret{}}
	for name, value := range h.Settings {
		s.Values[name] = value
	}
	for name, value := range h.Secrets {
		s.Secrets[name] = sdk.NewSecret(value)
	}
	return s
}

// session runs f in a session that is not configured, and looks whether the
// session ends well and told no secret.
func (t *Trial) session(ctx context.Context, f func(*Conn) error) error {
	c, err := t.Open(ctx)
	if err != nil {
		return fmt.Errorf("the adapter can't be started: %w", err)
	}
	err = f(c)
	if stopErr := c.Stop(); err == nil {
		err = stopErr
	}
	if err != nil {
		return err
	}
	for _, h := range []Host{t.Fixture.Upstream, t.Fixture.Downstream} {
		for name, secret := range h.Secrets {
			if len(secret) >= 8 && strings.Contains(c.Logs(), secret) {
				return fmt.Errorf("the adapter's log has the secret %q", name)
			}
		}
	}
	return nil
}

// configured runs f in a session that is configured for a role.
func (t *Trial) configured(ctx context.Context, role sdk.Role, h Host, f func(*Conn) error) error {
	return t.session(ctx, func(c *Conn) error {
		diags, err := c.Configure(ctx, settings(role, h))
		if err != nil {
			return fmt.Errorf("configuring: %w", err)
		}
		if bad := errorsOf(diags); len(bad) > 0 {
			return fmt.Errorf("the fixture's settings are refused: %v", bad)
		}
		if err := f(c); err != nil {
			return err
		}
		if err := c.Close(ctx); err != nil {
			return fmt.Errorf("closing: %w", err)
		}
		return nil
	})
}

// up and down run f in a session that is configured with the fixture.
func (t *Trial) up(ctx context.Context, f func(*Conn) error) error {
	return t.configured(ctx, sdk.RoleUpstream, t.Fixture.Upstream, f)
}

func (t *Trial) down(ctx context.Context, f func(*Conn) error) error {
	return t.configured(ctx, sdk.RoleDownstream, t.Fixture.Downstream, f)
}

// errorsOf gives the diagnostics that are errors.
func errorsOf(diags []sdk.Diagnostic) []sdk.Diagnostic {
	var bad []sdk.Diagnostic
	for _, d := range diags {
		if d.Severity != sdk.SeverityWarning {
			bad = append(bad, d)
		}
	}
	return bad
}

// wantKind says what is wrong with an error that should have one of the kinds.
func wantKind(what string, err error, kinds ...sdk.Kind) error {
	if err == nil {
		return fmt.Errorf("%s: want an error of kind %v, got none", what, kinds)
	}
	for _, k := range kinds {
		if sdk.KindOf(err) == k {
			return nil
		}
	}
	return fmt.Errorf("%s: want an error of kind %v, got %q: %w", what, kinds, sdk.KindOf(err), err)
}
