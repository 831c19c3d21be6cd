package gitea

import (
	"net/url"
	"strings"

	"github.com/lorry-controller/lorry-controller/plugins/internal/httpforge"
	"github.com/lorry-controller/lorry-controller/sdk"
)

// Settings are what the adapter is configured with, for both roles.
type Settings struct {
	Host     string   `setting:"host" doc:"Name of the Upstream Host, with a port if it needs one." role:"upstream"`
	Protocol string   `setting:"protocol" doc:"How git reaches the repositories. An Upstream Host's API is asked over https unless this is http. The default is ssh for a Downstream Host with an ssh-url, else that of the web interface." oneof:"ssh,https,http"`
	HTTPURL  *url.URL `setting:"http-url" doc:"Address of the web interface, such as https://gitea.example.com; needed for a Downstream Host, and for an Upstream Host whose address has a path."`
	SSHURL   string   `setting:"ssh-url" doc:"Address for ssh, such as ssh://git@gitea.example.com. The default is what the forge says."`

	AccessToken  sdk.Secret `setting:"access-token" doc:"Access token. Without one, only public repositories of an Upstream Host are seen."`
	PrivateToken sdk.Secret `setting:"private-token" doc:"The same as access-token, by the name that CONFGIT has for every host." role:"upstream"`
	Username     string     `setting:"username" doc:"User name for git over HTTP." role:"upstream"`
	Password     sdk.Secret `setting:"password" doc:"Password for git over HTTP; the default is the token." role:"upstream"`

	CheckCertificates   bool       `setting:"check-certificates" doc:"Whether the TLS certificate is verified." default:"true"`
	InsecureCredentials bool       `setting:"insecure-credentials" doc:"Whether credentials are sent over plain http, or although certificates are not verified." default:"false"`
	CAFile              string     `setting:"ca-file" doc:"File with further certificates of authorities, in PEM."`
	Proxy               *url.URL   `setting:"proxy" doc:"HTTP proxy for the API. The default is that of proxy.conf, or else of the environment."`
	ProxyUsername       string     `setting:"proxy-username" doc:"Name to log in at proxy with."`
	ProxyPassword       sdk.Secret `setting:"proxy-password" doc:"Password for it."`

	Organizations []string `setting:"organization" doc:"Organisations whose repositories are listed. With neither organization nor user, the whole instance is listed." role:"upstream"`
	Groups        []string `setting:"group" doc:"The same as organization, by the name that other forges have for it." role:"upstream"`
	Users         []string `setting:"user" doc:"Users whose repositories are listed." role:"upstream"`
	Archived      string   `setting:"archived" doc:"What to do with archived repositories." default:"include" oneof:"include,skip,only" role:"upstream"`
	Forks         string   `setting:"forks" doc:"What to do with forks." default:"include" oneof:"include,skip,only" role:"upstream"`
	Mirrors       string   `setting:"mirrors" doc:"What to do with repositories that the forge mirrors from elsewhere." default:"include" oneof:"include,skip,only" role:"upstream"`
	Empty         string   `setting:"empty" doc:"What to do with repositories that have no commit." default:"include" oneof:"include,skip,only" role:"upstream"`
	Visibilities  []string `setting:"visibilities" doc:"Which visibilities are listed. The default is all." oneof:"private,internal,public" role:"upstream"`
	Topics        []string `setting:"topics" doc:"Topics that a repository must have, all of them; the forge tells them from Gitea 1.22 and Forgejo 7 on." role:"upstream"`
	Wikis         bool     `setting:"wikis" doc:"Whether a repository's wiki is listed as the repository NAME.wiki." default:"false" role:"upstream"`

	Visibility string `setting:"visibility" doc:"Visibility of new organisations and repositories. internal is an organisation that only signed-in users see; in an organisation that is public already, it is a private repository." default:"private" oneof:"private,internal,public" role:"downstream"`
}

var _ sdk.Validator = (*Settings)(nil)

// Validate implements sdk.Validator.
func (s *Settings) Validate() []sdk.Diagnostic {
	diags := s.address().Validate()
	complain := func(severity sdk.Severity, path, summary, detail string) {
		diags = append(diags, sdk.Diagnostic{Severity: severity, Path: path, Summary: summary, Detail: detail})
	}
	for name, list := range map[string][]string{"organization": s.Organizations, "group": s.Groups, "user": s.Users} {
		for _, item := range list {
			if item == "" || strings.ContainsAny(item, "/ ") {
				complain(sdk.SeverityError, name, name+" has an item that is no name", "write the name alone, as in the address of its page")
			}
		}
	}
	if s.Host == "" && s.token().Empty() {
		complain(sdk.SeverityError, "access-token", `"access-token" is missing`, "a Downstream Host needs a token with the scopes write:repository and write:organization")
	}
	if s.Username != "" && s.Password.Empty() && s.token().Empty() {
		complain(sdk.SeverityWarning, "username", "username is given without a password or token and is not used", "give the password or a token too")
	}
	return diags
}

func (s *Settings) token() sdk.Secret {
	if !s.AccessToken.Empty() {
		return s.AccessToken
	}
	return s.PrivateToken
}

func (s *Settings) address() httpforge.Address {
	return httpforge.Address{Host: s.Host, Protocol: s.Protocol, HTTPURL: s.HTTPURL, SSHURL: s.SSHURL}
}

func (s *Settings) filter() httpforge.Filter {
	return httpforge.Filter{
		Archived: s.Archived, Forks: s.Forks, Empty: s.Empty, Visibilities: s.Visibilities, Topics: s.Topics,
	}
}
