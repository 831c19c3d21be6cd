package gitanossh

import (
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/plugins/internal/httpforge"
	"github.com/lorry-controller/lorry-controller/plugins/internal/sshforge"
	"github.com/lorry-controller/lorry-controller/sdk"
)

// Connections is how many calls a host should get at a time: OpenSSH's server
// turns connections away when ten are not logged in yet.
const Connections = 4

// Adapter serves one host.
type Adapter struct {
	settings Settings
	log      hclog.Logger
	host     string // for people
	run      runner
	http     *http.Client     // nil when the host is asked by ssh
	ssh      *sshforge.Client // nil when the host is asked by HTTP
}

var (
	_ sdk.Upstream    = (*Adapter)(nil)
	_ sdk.Downstream  = (*Adapter)(nil)
	_ sdk.AfterPusher = (*Adapter)(nil)
	_ sdk.Checker     = (*Adapter)(nil)
	_ sdk.PathChecker = (*Adapter)(nil)
	_ io.Closer       = (*Adapter)(nil)
)

// Open makes an Adapter. It does not speak to the host yet.
func Open(_ context.Context, env sdk.Env, settings Settings) (*Adapter, error) {
	a := &Adapter{settings: settings, log: env.Log}
	down := env.Role == sdk.RoleDownstream || env.Role == sdk.RoleUnknown && settings.Host == ""
	var target sshforge.Target
	var err error
	if down {
		target, err = sshforge.ParseURL(settings.SSHURL)
	} else {
		target, err = settings.upstream()
	}
	if err != nil {
		return nil, sdk.Errorf(sdk.Invalid, "the address of the host can't be used: %w", err)
	}
	a.host = target.Host
	if !down && settings.Protocol != "ssh" {
		o, err := a.overHTTP(env)
		if err != nil {
			return nil, err
		}
		a.http, a.run = o.client, o
		return a, nil
	}
	if a.ssh, err = sshforge.New(target, settings.sshOptions()); err != nil {
		return nil, err
	}
	a.run = overSSH{a.ssh}
	return a, nil
}

// Close implements io.Closer.
func (a *Adapter) Close() error {
	if a.http != nil {
		a.http.CloseIdleConnections()
	}
	return nil
}

func (a *Adapter) overHTTP(env sdk.Env) (overHTTP, error) {
	s := a.settings
	client, err := env.Client(sdk.HTTPOptions{
		CAFile: s.CAFile, Proxy: s.Proxy, ProxyUsername: s.ProxyUsername, ProxyPassword: s.ProxyPassword,
		SkipCertificates: !s.CheckCertificates, InsecureCredentials: s.Insecure,
	})
	if err != nil {
		return overHTTP{}, err
	}
	address := s.CommandURL
	if address == nil {
		address = s.webURL("gitano-command.cgi")
	}
	login := httpforge.NewLogin(address, s.Username, s.Password, env.InsecureCredentials || s.Insecure)
	return overHTTP{client: client, address: address, login: login}, nil
}

// Check implements sdk.Checker.
func (a *Adapter) Check(ctx context.Context) (sdk.Report, error) {
	report := sdk.Report{ServerVersion: "Gitano"}
	_, err := run(ctx, a.run, "whoami")
	var refused *refusal
	if errors.As(err, &refused) {
		report.Diagnostics = append(report.Diagnostics, sdk.Diagnostic{
			Severity: sdk.SeverityWarning, Summary: a.host + " does not say who we are there: " + refused.Error(),
			Detail: "look whether the ssh key or the user belongs to an account of the host",
		})
		return report, nil
	}
	return report, err
}

// access is how git reaches a repository.
func (a *Adapter) access(path string) (sdk.Access, error) {
	if a.ssh == nil {
		url := a.settings.webURL("git/" + path + ".git").String()
		return sdk.Access{URL: url, Username: a.settings.Username, Secret: a.settings.Password}, nil
	}
	known, err := a.ssh.KnownHosts()
	if err != nil {
		return sdk.Access{}, err
	}
	return sdk.Access{URL: a.ssh.Target().URL(path + ".git"), KnownHosts: known}, nil
}

// failure gives what went wrong with a repository its kind.
func (a *Adapter) failure(err error, what, path string) error {
	var refused *refusal
	if !errors.As(err, &refused) {
		return err
	}
	e := &sdk.Error{Kind: sdk.Internal, Fact: a.host + " can't " + what + ": " + refused.Error(), Subject: path, Err: refused}
	switch {
	case refused.missing():
		e.Kind = sdk.NotFound
	case refused.denied():
		e.Kind = sdk.Denied
		e.Hint = "the host's rules decide this; ask its admin when the mirror belongs there"
	}
	return e
}
