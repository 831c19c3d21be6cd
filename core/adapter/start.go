package adapter

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/host"
)

// process is a running adapter: *host.Process, or a fake in tests.
type process interface {
	Repos(ctx context.Context) iter.Seq2[sdk.Repo, error]
	Repo(ctx context.Context, path string) (sdk.Repo, sdk.Access, error)
	Ensure(ctx context.Context, want sdk.Want) (sdk.Have, error)
	AfterPush(ctx context.Context, want sdk.Want) error
	Retire(ctx context.Context, path string) error
	CheckPaths(ctx context.Context, paths []string) ([]host.PathVerdict, error)
	Check(ctx context.Context) (sdk.Report, error)
	Close(ctx context.Context) error

	PID() int
	Healthy(ctx context.Context) error
	// Done is closed when the process has ended; Exit then says how.
	Done() <-chan struct{}
	Exit() string
	// Kill ends the process, by force after the grace, and waits for it.
	Kill(grace time.Duration)
}

// running is an adapter that was started, asked what it is, and configured.
type running struct {
	process
	desc     host.Description
	doubts   []Doubt // of its settings
	path     string
	checksum string
	protocol int
}

// startFunc starts an adapter. Its errors have sdk's kinds: Invalid and
// Unsupported do not go away by themselves.
type startFunc func(ctx context.Context, inst Instance, log hclog.Logger) (*running, error)

// startProcess is the startFunc for real processes.
func (m *Manager) startProcess(ctx context.Context, inst Instance, log hclog.Logger) (*running, error) {
	path, err := m.program(inst)
	if err != nil {
		return nil, err
	}
	settings, err := m.settings(ctx, inst)
	if err != nil {
		return nil, err
	}
	if address := m.opts.Reattach[inst.Type]; address != "" {
		return m.attach(ctx, inst, settings, address, log)
	}
	redact := &host.Redactor{}
	for _, secret := range settings.Secrets {
		redact.Add(secret.Reveal())
	}
	if proxy, err := url.Parse(inst.Proxy.Reveal()); err == nil {
		if password, has := proxy.User.Password(); has {
			redact.Add(password)
		}
	}
	r := &running{path: path}
	p, err := host.Launch(ctx, host.Config{
		Instance: inst.Name, Path: path, SHA256: inst.SHA256, Log: log, Launcher: m.launcher, TempDir: m.opts.TempDir, Majors: m.opts.Majors,
		StartTimeout: m.opts.StartTimeout, Deadlines: m.opts.Deadlines, Redactor: redact,
		Proxy: inst.Proxy.Reveal(),
	})
	if err != nil {
		return nil, err
	}
	r.process, r.checksum, r.protocol = p, p.Checksum(), p.Protocol()
	if r.desc, r.doubts, err = configure(ctx, p.Client, inst, settings, log); err != nil {
		p.Kill(m.opts.KillGrace)
		return nil, err
	}
	return r, nil
}

// attach uses an adapter that its author has started in a debugger.
func (m *Manager) attach(ctx context.Context, inst Instance, settings host.Settings, address string, log hclog.Logger) (*running, error) {
	p, err := host.Attach(address)
	if err != nil {
		return nil, err
	}
	log.Warn("uses an adapter that somebody else has started", "address", address)
	desc, doubts, err := configure(ctx, p.Client, inst, settings, log)
	if err != nil {
		p.Kill(0)
		return nil, err
	}
	return &running{process: p, desc: desc, doubts: doubts, path: address, protocol: 1}, nil
}

// settings gives what the adapter is configured with, secrets read afresh.
func (m *Manager) settings(ctx context.Context, inst Instance) (host.Settings, error) {
	s := host.Settings{
		Instance: inst.Name, Role: inst.role(), Values: maps.Clone(inst.Settings), Secrets: map[string]sdk.Secret{},
		SkipCertificates: inst.SkipCertificates, InsecureCredentials: inst.InsecureCredentials,
	}
	secrets := inst.Secrets
	if m.opts.ReadSecrets != nil {
		var err error
		if secrets, err = m.opts.ReadSecrets(ctx, inst); err != nil {
			return s, sdk.Errorf(sdk.Unavailable, "can't read its secrets: %w", err)
		}
	}
	for name, secret := range secrets {
		s.Secrets[name] = sdk.NewSecret(secret.Reveal())
	}
	return s, nil
}

// configure asks a new process what it is, refuses one that is not what was
// asked for, and hands over the settings.
func configure(ctx context.Context, p *host.Client, inst Instance, settings host.Settings, log hclog.Logger) (host.Description, []Doubt, error) {
	desc, err := p.Describe(ctx)
	if err != nil {
		return desc, nil, err
	}
	switch {
	case desc.Name != inst.Type:
		return desc, nil, sdk.WithHint(
			sdk.Errorf(sdk.Invalid, "the program is an adapter for %q, not for %q", desc.Name, inst.Type),
			"correct the host's type or the adapter's path")
	case !desc.Has(settings.Role):
		return desc, nil, sdk.Errorf(sdk.Unsupported, "the %s adapter can't be used as %s", desc.Name, settings.Role)
	}
	var doubts []Doubt
	if inst.IgnoreUnknown {
		doubts = dropUnknown(settings, desc, inst.Offered)
	}
	doubtful, err := settingsError(desc, desc.Diagnose(settings))
	if err != nil {
		return desc, nil, err // the adapter need not be asked
	}
	doubts = append(doubts, doubtful...)
	diags, err := p.Configure(ctx, settings)
	if err != nil {
		return desc, nil, err
	}
	doubtful, err = settingsError(desc, diags)
	doubts = append(doubts, doubtful...)
	for _, d := range doubts {
		log.Warn("doubts a setting", "setting", d.Setting, "doubt", d.Text, "hint", d.Hint)
	}
	return desc, doubts, err
}

// settingsError makes one error of all that is wrong with settings, or nil, and
// doubts of what is only doubtful.
func settingsError(desc host.Description, diags []sdk.Diagnostic) ([]Doubt, error) {
	var doubts []Doubt
	var facts []string
	for _, d := range diags {
		if d.Severity == sdk.SeverityWarning {
			doubts = append(doubts, Doubt{Setting: d.Path, Text: d.Summary, Hint: d.Detail})
			continue
		}
		facts = append(facts, d.Summary)
	}
	if len(facts) == 0 {
		return doubts, nil
	}
	return doubts, sdk.WithHint(sdk.Errorf(sdk.Invalid, "the settings can't be used: %s", strings.Join(facts, "; ")),
		fmt.Sprintf("correct the settings of the %s adapter", desc.Name))
}

// dropUnknown takes out settings that the adapter has not described, and tells
// of those that were not merely offered.
func dropUnknown(settings host.Settings, desc host.Description, offered []string) (doubts []Doubt) {
	knows := func(name string, secret bool) bool {
		return slices.ContainsFunc(desc.Settings, func(s host.Setting) bool {
			return s.Name == name && (s.Type == "secret") == secret
		})
	}
	ignored := func(name string) Doubt {
		return Doubt{
			Setting: name, Text: fmt.Sprintf("the %s adapter does not know the setting %q, which is ignored", desc.Name, name),
			Hint: fmt.Sprintf("\"lorry-adapter-%s describe\" names its settings", desc.Name),
		}
	}
	for _, name := range slices.Sorted(maps.Keys(settings.Values)) {
		if !knows(name, false) {
			delete(settings.Values, name)
			if !slices.Contains(offered, name) {
				doubts = append(doubts, ignored(name))
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(settings.Secrets)) {
		if !knows(name, true) {
			delete(settings.Secrets, name)
			doubts = append(doubts, ignored(name))
		}
	}
	return doubts
}

// stamp identifies the content of an instance's program without reading it; ""
// when there is none.
func (m *Manager) stamp(inst Instance) string {
	path, err := m.program(inst)
	if err != nil {
		return ""
	}
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%d %d", info.Size(), info.ModTime().UnixNano())
}
