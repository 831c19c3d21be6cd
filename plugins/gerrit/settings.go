package gerrit

import (
	"net/url"
	"strings"

	"github.com/lorry-controller/lorry-controller/plugins/internal/httpforge"
	"github.com/lorry-controller/lorry-controller/plugins/internal/sshforge"
	"github.com/lorry-controller/lorry-controller/sdk"
)

// defaultSSHPort is where Gerrit's own ssh server listens.
const defaultSSHPort = 29418

// Settings are what the adapter is configured with.
type Settings struct {
	Host              string     `setting:"host" doc:"Name of the host, or NAME:PORT of its web server." required:"true" role:"upstream"`
	Protocol          string     `setting:"protocol" doc:"How git reaches the repositories. The default is https for an Upstream Host; for the Downstream Host it is ssh when there is an ssh-url, else that of http-url." oneof:"ssh,https,http"`
	API               string     `setting:"api" doc:"How Gerrit itself is asked: rest, ssh, or auto for ssh wherever git uses ssh." default:"auto" oneof:"auto,rest,ssh"`
	HTTPURL           *url.URL   `setting:"http-url" doc:"Address of Gerrit's web server; for an Upstream Host the default is PROTOCOL://HOST/."`
	SSHURL            string     `setting:"ssh-url" doc:"Address of Gerrit's ssh server, such as ssh://lorry@gerrit.example.com:29418; for an Upstream Host the default is ssh://USERNAME@HOST:29418."`
	Username          string     `setting:"username" doc:"User for REST, for git over https, and for ssh when there is no ssh-url."`
	Password          sdk.Secret `setting:"password" doc:"The user's HTTP password, which Gerrit makes in its settings. Without one, only public projects can be seen by REST."`
	ParentProject     string     `setting:"parent-project" doc:"Project from which new projects inherit their access rights." role:"downstream"`
	Visibility        string     `setting:"visibility" doc:"Accepted because other hosts have it; here the rights of the parent project decide who may read." oneof:"private,internal,public" role:"downstream"`
	SkipValidation    bool       `setting:"skip-validation" doc:"Whether Gerrit is told with each push not to look at every commit: it refuses a push of more than 10,000 new commits otherwise. The user needs the rights that the README lists; with fewer of them, Gerrit refuses such a push, so say no then." default:"yes" role:"downstream"`
	HintBranches      []string   `setting:"hint-branches" doc:"Branches whose commits are listed to tell whether a project may have changed; none switches that off. A change of another branch alone is seen with the next regular job." default:"HEAD,master,main" role:"upstream"`
	Archived          string     `setting:"archived" doc:"What to do with projects that are read only." default:"include" oneof:"include,skip,only" role:"upstream"`
	CheckCertificates bool       `setting:"check-certificates" doc:"Whether TLS certificates are verified." default:"yes"`
	CAFile            string     `setting:"ca-file" doc:"File with further certificates of authorities, in PEM."`
	Proxy             *url.URL   `setting:"proxy" doc:"HTTP proxy for REST. The default is that of proxy.conf, or else of the environment."`
	ProxyUsername     string     `setting:"proxy-username" doc:"Name to log in at proxy with."`
	ProxyPassword     sdk.Secret `setting:"proxy-password" doc:"Password for it."`
	Insecure          bool       `setting:"insecure-credentials" doc:"Whether credentials are sent over plain http, or although certificates are not verified." default:"no"`
	SSHKnownHosts     string     `setting:"ssh-known-hosts" doc:"Absolute path of the known_hosts file to use instead of the account's and the system's."`
	SSHIdentityFile   string     `setting:"ssh-identity-file" doc:"Absolute path of the private key to use instead of the account's."`
}

var _ sdk.Validator = (*Settings)(nil)

// Validate implements sdk.Validator.
func (s *Settings) Validate() []sdk.Diagnostic {
	diags := sshforge.CheckFiles(map[string]string{"ssh-known-hosts": s.SSHKnownHosts, "ssh-identity-file": s.SSHIdentityFile})
	complain := func(severity sdk.Severity, path, summary, detail string) {
		diags = append(diags, sdk.Diagnostic{Severity: severity, Path: path, Summary: summary, Detail: detail})
	}
	if s.Host != "" {
		if _, err := sshforge.ParseHost(s.Host, "", 0); err != nil {
			complain(sdk.SeverityError, "host", "the address of the host can't be used: "+err.Error(), "write it like gerrit.example.com; an address with a path goes into http-url")
		}
	}
	if s.SSHURL != "" {
		if _, err := sshforge.ParseURL(s.SSHURL); err != nil {
			complain(sdk.SeverityError, "ssh-url", "ssh-url can't be used: "+err.Error(), "write it like ssh://lorry@gerrit.example.com:29418")
		}
	}
	if u := s.HTTPURL; u != nil && (u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.Fragment != "") {
		complain(sdk.SeverityError, "http-url", "http-url is not the address of a web server", "write it like https://gerrit.example.com/")
	}
	if s.Host == "" && s.SSHURL == "" && s.HTTPURL == nil {
		complain(sdk.SeverityError, "ssh-url", "neither ssh-url nor http-url is given", "give the address of Gerrit's ssh server, such as ssh://lorry@gerrit.example.com:29418")
	}
	if !s.Password.Empty() && s.Username == "" {
		complain(sdk.SeverityError, "username", "there is a password but no username", "give both")
	}
	if s.ParentProject != "" {
		if err := checkName(s.ParentProject); err != nil && !builtIn(s.ParentProject) {
			complain(sdk.SeverityError, "parent-project", "parent-project is no name of a project: "+err.Error(), "")
		}
	}
	if web := s.web(); web != nil && web.Scheme == "http" && !s.Password.Empty() && !httpforge.Loopback(web) {
		complain(sdk.SeverityWarning, "http-url", "the password would go over a connection that is not encrypted", "use https")
	}
	return diags
}

// web is the root of Gerrit's web server, or nil when it is not known.
func (s *Settings) web() *url.URL {
	switch {
	case s.HTTPURL != nil:
		u := *s.HTTPURL
		u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
		return &u
	case s.Host == "":
		return nil
	case s.Protocol == "http":
		return &url.URL{Scheme: "http", Host: s.Host}
	}
	return &url.URL{Scheme: "https", Host: s.Host}
}

// ssh is Gerrit's ssh server; false when it is not known.
func (s *Settings) ssh() (sshforge.Target, bool) {
	if s.SSHURL != "" {
		t, err := sshforge.ParseURL(s.SSHURL)
		web := s.web()
		// The original's default, beside a Gerrit that is somewhere else.
		leftover := t.Host == "localhost" && web != nil && !httpforge.Loopback(web)
		return t, err == nil && !leftover
	}
	t, err := sshforge.ParseHost(s.Host, s.Username, 0)
	t.Port = defaultSSHPort // a port in host is the web server's
	return t, err == nil && s.Host != ""
}

// transport is what git uses.
func (s *Settings) transport() string {
	web := s.web()
	switch _, ssh := s.ssh(); {
	case s.Protocol != "":
		return s.Protocol
	case s.Host == "" && ssh || web == nil:
		return "ssh"
	}
	return web.Scheme
}

// bySSH says whether Gerrit is asked by ssh.
func (s *Settings) bySSH() bool {
	return s.API == "ssh" || s.API != "rest" && s.transport() == "ssh"
}
