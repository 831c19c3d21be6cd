package gitlab

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
	HTTPURL  *url.URL `setting:"http-url" doc:"Address of the web interface, such as https://gitlab.example.com; needed for a Downstream Host, and for an Upstream Host whose address has a path."`
	SSHURL   string   `setting:"ssh-url" doc:"Address for ssh, such as ssh://git@gitlab.example.com. The default is what GitLab says."`

	Token    sdk.Secret `setting:"private-token" doc:"Personal, group or project access token. Without one, only public projects of an Upstream Host are seen."`
	Username string     `setting:"username" doc:"User name for git over HTTP, such as that of a deploy token; the default is oauth2." role:"upstream"`
	Password sdk.Secret `setting:"password" doc:"Password or deploy token for git over HTTP; the default is private-token." role:"upstream"`

	CheckCertificates   bool       `setting:"check-certificates" doc:"Whether the TLS certificate is verified." default:"true"`
	InsecureCredentials bool       `setting:"insecure-credentials" doc:"Whether credentials are sent over plain http, or although certificates are not verified." default:"false"`
	CAFile              string     `setting:"ca-file" doc:"File with further certificates of authorities, in PEM."`
	Proxy               *url.URL   `setting:"proxy" doc:"HTTP proxy for the API. The default is that of proxy.conf, or else of the environment."`
	ProxyUsername       string     `setting:"proxy-username" doc:"Name to log in at proxy with."`
	ProxyPassword       sdk.Secret `setting:"proxy-password" doc:"Password for it."`

	Groups       []string `setting:"group" doc:"Full paths of groups whose projects are listed, those of subgroups too. With neither group nor user, the whole instance is listed." role:"upstream"`
	Users        []string `setting:"user" doc:"Names of users whose projects are listed." role:"upstream"`
	Membership   bool     `setting:"membership" doc:"Whether a listing of the whole instance has only projects that the token's account is a member of." default:"false" role:"upstream"`
	WithShared   bool     `setting:"with-shared" doc:"Whether projects that are merely shared into a group are listed." default:"false" role:"upstream"`
	Archived     string   `setting:"archived" doc:"What to do with archived projects." default:"include" oneof:"include,skip,only" role:"upstream"`
	Forks        string   `setting:"forks" doc:"What to do with forks." default:"include" oneof:"include,skip,only" role:"upstream"`
	Empty        string   `setting:"empty" doc:"What to do with projects that have no commit." default:"include" oneof:"include,skip,only" role:"upstream"`
	Visibilities []string `setting:"visibilities" doc:"Which visibilities are listed. The default is all." oneof:"private,internal,public" role:"upstream"`
	Topics       []string `setting:"topics" doc:"Topics that a project must have, all of them." role:"upstream"`
	Wikis        bool     `setting:"wikis" doc:"Whether a project's wiki is listed as the repository PROJECT.wiki." default:"false" role:"upstream"`

	Visibility        string `setting:"visibility" doc:"Visibility of new groups and projects; never more than the parent group's." default:"private" oneof:"private,internal,public" role:"downstream"`
	UnprotectBranches bool   `setting:"unprotect-branches" doc:"Whether the protection of branches is removed after a push. GitLab protects the default branch by itself and then refuses rewritten history." default:"false" role:"downstream"`
}

var _ sdk.Validator = (*Settings)(nil)

// Validate implements sdk.Validator.
func (s *Settings) Validate() []sdk.Diagnostic {
	diags := s.address().Validate()
	complain := func(severity sdk.Severity, path, summary, detail string) {
		diags = append(diags, sdk.Diagnostic{Severity: severity, Path: path, Summary: summary, Detail: detail})
	}
	for name, list := range map[string][]string{"group": s.Groups, "user": s.Users} {
		for _, item := range list {
			if strings.Trim(item, "/ ") == "" {
				complain(sdk.SeverityError, name, name+" has an empty item", "write its path as in the address of its page, such as group/subgroup")
			}
		}
	}
	if s.Host == "" && s.Token.Empty() {
		complain(sdk.SeverityError, "private-token", `"private-token" is missing`, "a Downstream Host needs a token with the scope api")
	}
	// Source: docs.gitlab.com/security/tokens, "Token prefixes".
	if strings.HasPrefix(s.Token.Reveal(), "gldt-") {
		complain(sdk.SeverityError, "private-token", "private-token is a deploy token, with which GitLab's API can't be asked",
			"use a personal, project or group access token; a deploy token goes into username and password, for git alone")
	}
	if s.Username != "" && s.Password.Empty() {
		complain(sdk.SeverityWarning, "username", "username is given without a password and is not used", "give the password or deploy token too")
	}
	if s.Membership && s.Token.Empty() {
		complain(sdk.SeverityError, "membership", "membership needs a token", "give private-token, or list groups or users")
	}
	return diags
}

func (s *Settings) address() httpforge.Address {
	return httpforge.Address{Host: s.Host, Protocol: s.Protocol, HTTPURL: s.HTTPURL, SSHURL: s.SSHURL}
}

func (s *Settings) filter() httpforge.Filter {
	return httpforge.Filter{
		Archived: s.Archived, Forks: s.Forks, Empty: s.Empty, Visibilities: s.Visibilities, Topics: s.Topics,
	}
}
