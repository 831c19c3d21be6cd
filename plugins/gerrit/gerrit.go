// Package gerrit is the adapter for Gerrit: as an Upstream Host it lists the
// projects that may have code, as the Downstream Host it creates projects, sets
// their default branch and description, and makes them read-only when they are
// retired, by REST or by ssh.
//
// It must never make an initial commit, touch access rights, or write to refs;
// branches arrive by git alone.
package gerrit

import (
	"context"
	"io"
	"net/http"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/plugins/internal/httpforge"
	"github.com/lorry-controller/lorry-controller/plugins/internal/sshforge"
	"github.com/lorry-controller/lorry-controller/sdk"
)

// connections is how many calls Gerrit gets at a time: its ssh server has two
// workers for each core, and people work with it, too.
const connections = 4

// Adapter serves one Gerrit.
type Adapter struct {
	settings Settings
	log      hclog.Logger
	api      api
	http     *http.Client     // nil when Gerrit is asked by ssh
	ssh      *sshforge.Client // nil when git does not use ssh either
	name     string           // for people
}

var (
	_ sdk.Upstream    = (*Adapter)(nil)
	_ sdk.Downstream  = (*Adapter)(nil)
	_ sdk.AfterPusher = (*Adapter)(nil)
	_ sdk.Retirer     = (*Adapter)(nil)
	_ sdk.Checker     = (*Adapter)(nil)
	_ sdk.PathChecker = (*Adapter)(nil)
	_ io.Closer       = (*Adapter)(nil)
)

// Plugin defines the adapter.
func Plugin() *sdk.Plugin {
	return sdk.Define("gerrit", open, sdk.WithSummary("Gerrit, asked by REST or by ssh."), sdk.WithMaxConcurrency(connections))
}

func open(_ context.Context, env sdk.Env, settings Settings) (*Adapter, error) {
	a := &Adapter{settings: settings, log: env.Log}
	bySSH := settings.bySSH()
	if bySSH || settings.transport() == "ssh" {
		target, ok := settings.ssh()
		if !ok {
			return nil, sdk.WithHint(sdk.Errorf(sdk.Invalid, "the address of Gerrit's ssh server is not known"), "set ssh-url")
		}
		var err error
		if a.ssh, err = sshforge.New(target, sshforge.Options{KnownHosts: settings.SSHKnownHosts, IdentityFile: settings.SSHIdentityFile}); err != nil {
			return nil, err
		}
		a.name = target.Host
	}
	web := settings.web()
	if (!bySSH || settings.transport() != "ssh") && web == nil {
		return nil, sdk.WithHint(sdk.Errorf(sdk.Invalid, "the address of Gerrit's web server is not known"), "set http-url")
	}
	if bySSH {
		a.api = &remote{a.ssh}
		return a, nil
	}
	a.name = web.Host
	client, err := env.Client(sdk.HTTPOptions{
		CAFile: settings.CAFile, Proxy: settings.Proxy, ProxyUsername: settings.ProxyUsername, ProxyPassword: settings.ProxyPassword,
		SkipCertificates: !settings.CheckCertificates, InsecureCredentials: settings.Insecure,
	})
	if err != nil {
		return nil, err
	}
	a.http = client
	a.api = &rest{
		client: client, root: web,
		login: httpforge.NewLogin(web, settings.Username, settings.Password, env.InsecureCredentials || settings.Insecure),
	}
	return a, nil
}

// Close implements io.Closer.
func (a *Adapter) Close() error {
	if a.http != nil {
		a.http.CloseIdleConnections()
	}
	return nil
}

// Check implements sdk.Checker.
func (a *Adapter) Check(ctx context.Context) (sdk.Report, error) {
	version, err := a.api.version(ctx)
	if err != nil {
		return sdk.Report{}, err
	}
	report := sdk.Report{ServerVersion: "Gerrit " + version}
	warn := func(path, summary, detail string) {
		report.Diagnostics = append(report.Diagnostics, sdk.Diagnostic{Severity: sdk.SeverityWarning, Path: path, Summary: summary, Detail: detail})
	}
	if _, ok := a.api.(*rest); ok && a.settings.Username == "" {
		warn("username", "there is no username, so only public projects can be seen", "give username and password")
	}
	if parent := a.settings.ParentProject; parent != "" {
		if _, err := a.api.project(ctx, parent); err != nil {
			warn("parent-project", "the parent project can't be seen: "+err.Error(), "create it, or grant the user the right to read it")
		}
	}
	return report, nil
}

// access is how git reaches a project.
func (a *Adapter) access(name string) (sdk.Access, error) {
	transport := a.settings.transport()
	if transport == "ssh" {
		known, err := a.ssh.KnownHosts()
		if err != nil {
			return sdk.Access{}, err
		}
		return sdk.Access{URL: a.ssh.Target().URL(name), KnownHosts: known}, nil
	}
	u := *a.settings.web()
	u.Scheme = transport
	if a.settings.Username == "" {
		return sdk.Access{URL: u.JoinPath(name).String()}, nil
	}
	return sdk.Access{URL: u.JoinPath("a", name).String(), Username: a.settings.Username, Secret: a.settings.Password}, nil
}
