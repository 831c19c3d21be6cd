package sdk

import (
	"context"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"runtime/debug"
	"slices"

	adapterv1 "github.com/lorry-controller/lorry-controller/sdk/internal/gen/lorry/adapter/v1"
	"github.com/lorry-controller/lorry-controller/sdk/internal/text"
	"github.com/lorry-controller/lorry-controller/sdk/internal/wire"
)

// Plugin is the definition of an adapter. It never changes after Define, so
// that any number of sessions can be served from it.
type Plugin struct {
	name           string
	version        string
	summary        string
	maxConcurrency int
	roles          []Role
	capabilities   []adapterv1.Capability
	fields         []field
	problems       []string
	decode         func(values map[string]any, secrets map[string][]byte, role Role) (any, []Diagnostic)
	open           func(ctx context.Context, env Env, settings any) (any, error)
}

// Option changes a definition.
type Option func(*Plugin)

// WithVersion sets the adapter's own version, for logs and pages. The default
// is the version in the program's build information.
func WithVersion(version string) Option { return func(p *Plugin) { p.version = version } }

// WithSummary sets one sentence about the adapter.
func WithSummary(summary string) Option { return func(p *Plugin) { p.summary = summary } }

// WithMaxConcurrency limits how many calls the core makes at a time.
func WithMaxConcurrency(limit int) Option { return func(p *Plugin) { p.maxConcurrency = limit } }

var nameRE = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// Define describes an adapter for hosts of the type name. C is the struct of
// its settings (see the tags in the package's examples), F what open makes of
// them: a type with the methods of Upstream, of Downstream, or of both, and of
// any of Checker, AfterPusher, Retirer, PathChecker and io.Closer. A definition that cannot
// work is told by Main and by the conformance suite.
func Define[C, F any](name string, open func(ctx context.Context, env Env, settings C) (F, error), opts ...Option) *Plugin {
	fields, problems := schemaOf(reflect.TypeFor[C]())
	p := &Plugin{name: name, version: buildVersion(), fields: fields, problems: problems}
	for _, opt := range opts {
		opt(p)
	}
	p.readType(reflect.TypeFor[F]())
	if !nameRE.MatchString(name) {
		p.problems = append(p.problems, fmt.Sprintf("the name %q is not lower-case letters, digits and single dashes", name))
	}
	p.decode = func(values map[string]any, secrets map[string][]byte, role Role) (any, []Diagnostic) {
		return decodeSettings[C](fields, values, secrets, role)
	}
	p.open = func(ctx context.Context, env Env, settings any) (any, error) {
		c, ok := settings.(C)
		if !ok {
			return nil, Errorf(Internal, "settings have the type %T", settings)
		}
		return open(ctx, env, c)
	}
	return p
}

// readType fills in what the adapter can do from the methods of its type.
func (p *Plugin) readType(t reflect.Type) {
	if t.Implements(reflect.TypeFor[Upstream]()) {
		p.roles = append(p.roles, RoleUpstream)
	}
	if t.Implements(reflect.TypeFor[Downstream]()) {
		p.roles = append(p.roles, RoleDownstream)
	}
	if len(p.roles) == 0 {
		p.problems = append(p.problems, fmt.Sprintf("%v has the methods of neither Upstream nor Downstream", t))
	}
	if t.Implements(reflect.TypeFor[Checker]()) {
		p.capabilities = append(p.capabilities, adapterv1.Capability_CAPABILITY_CHECK)
	}
	if !slices.Contains(p.roles, RoleDownstream) {
		return
	}
	if t.Implements(reflect.TypeFor[AfterPusher]()) {
		p.capabilities = append(p.capabilities, adapterv1.Capability_CAPABILITY_AFTER_PUSH)
	}
	if t.Implements(reflect.TypeFor[Retirer]()) {
		p.capabilities = append(p.capabilities, adapterv1.Capability_CAPABILITY_RETIRE)
	}
	if t.Implements(reflect.TypeFor[PathChecker]()) {
		p.capabilities = append(p.capabilities, adapterv1.Capability_CAPABILITY_CHECK_PATHS)
	}
}

// Name gives the host type that the adapter is for.
func (p *Plugin) Name() string { return p.name }

// Problems tells what is wrong with the definition; none when it is good.
func (p *Plugin) Problems() []string { return slices.Clone(p.problems) }

// describe gives the answer of the Describe call.
func (p *Plugin) describe() *adapterv1.DescribeResponse {
	resp := &adapterv1.DescribeResponse{
		Name:           p.name,
		Version:        text.Clean(p.version, wire.MaxHint),
		Summary:        text.Clean(p.summary, wire.MaxFact),
		SdkVersion:     sdkVersion(),
		Capabilities:   slices.Clone(p.capabilities),
		MaxConcurrency: int32(min(max(p.maxConcurrency, 0), 1<<16)), //nolint:gosec // bounded on this line
	}
	for _, r := range p.roles {
		resp.Roles = append(resp.Roles, roleToProto(r))
	}
	for _, f := range p.fields {
		resp.Settings = append(resp.Settings, f.toProto())
	}
	return resp
}

// closeAdapter releases what open has made, when it wants to be told.
func closeAdapter(adapter any) error {
	if c, ok := adapter.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

// sdkVersion is the version of the module that this package came from.
func sdkVersion() string {
	const module = "github.com/lorry-controller/lorry-controller"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "go"
	}
	for _, dep := range info.Deps {
		if dep.Path == module {
			return "go " + dep.Version
		}
	}
	return "go " + info.Main.Version
}
