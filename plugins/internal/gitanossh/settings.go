package gitanossh

import (
	"net/url"
	"strings"

	"github.com/lorry-controller/lorry-controller/plugins/internal/sshforge"
	"github.com/lorry-controller/lorry-controller/sdk"
)

// Settings are what both adapters are configured with.
type Settings struct {
	Host              string     `setting:"host" doc:"Name of the host, or NAME:PORT. CONFGIT may call it trovehost." required:"true" role:"upstream"`
	Protocol          string     `setting:"protocol" doc:"How the host is asked and cloned from." default:"ssh" oneof:"ssh,https,http" role:"upstream"`
	Username          string     `setting:"username" doc:"User for https and http." role:"upstream"`
	Password          sdk.Secret `setting:"password" doc:"Password for https and http." role:"upstream"`
	CommandURL        *url.URL   `setting:"command-url" doc:"Address of Gitano's command CGI; the default is PROTOCOL://HOST/gitano-command.cgi." role:"upstream"`
	SSHUser           string     `setting:"ssh-user" doc:"User of the host's ssh." default:"git" role:"upstream"`
	SSHPort           int        `setting:"ssh-port" doc:"Port of the host's ssh, when host does not say one; 0 leaves it to ssh." role:"upstream"`
	SSHURL            string     `setting:"ssh-url" doc:"Address for commands and for pushing, such as ssh://git@git.example.com." default:"ssh://git@localhost" role:"downstream"`
	HTTPURL           *url.URL   `setting:"http-url" doc:"Address of the host for people; it is not used." role:"downstream"`
	Visibility        string     `setting:"visibility" doc:"Accepted because other hosts have it; here the host's own rules decide who may read." oneof:"private,internal,public" role:"downstream"`
	CheckCertificates bool       `setting:"check-certificates" doc:"Whether TLS certificates are verified." default:"yes"`
	CAFile            string     `setting:"ca-file" doc:"File with further certificates of authorities, in PEM."`
	Proxy             *url.URL   `setting:"proxy" doc:"HTTP proxy for the command CGI. The default is that of proxy.conf, or else of the environment."`
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
		if _, err := s.upstream(); err != nil {
			complain(sdk.SeverityError, "host", "the address of the host can't be used: "+err.Error(), "write it like git.example.com or git.example.com:2222")
		}
	}
	if _, err := sshforge.ParseURL(s.SSHURL); err != nil {
		complain(sdk.SeverityError, "ssh-url", "ssh-url can't be used: "+err.Error(), "write it like ssh://git@git.example.com")
	}
	if u := s.CommandURL; u != nil && u.Scheme != "https" && u.Scheme != "http" {
		complain(sdk.SeverityError, "command-url", "command-url is neither an https nor an http URL", "")
	}
	if !s.Password.Empty() && s.Username == "" {
		complain(sdk.SeverityError, "username", "there is a password but no username", "give both in auth")
	}
	if s.Protocol == "http" && !s.Password.Empty() {
		complain(sdk.SeverityWarning, "protocol", "the password is sent over a connection that is not encrypted", "use https")
	}
	return diags
}

func (s *Settings) upstream() (sshforge.Target, error) {
	if s.Protocol == "ssh" {
		return sshforge.ParseHost(s.Host, s.SSHUser, s.SSHPort)
	}
	return sshforge.ParseHost(s.Host, s.SSHUser, 0)
}

// webURL gives an address on the host's web server.
func (s *Settings) webURL(path string) *url.URL {
	return &url.URL{Scheme: s.Protocol, Host: s.Host, Path: "/" + strings.TrimPrefix(path, "/")}
}

func (s *Settings) sshOptions() sshforge.Options {
	return sshforge.Options{KnownHosts: s.SSHKnownHosts, IdentityFile: s.SSHIdentityFile}
}
