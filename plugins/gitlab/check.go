package gitlab

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/plugins/internal/httpforge"
	"github.com/lorry-controller/lorry-controller/sdk"
)

// expiryWarning is how long before its end a token is told of.
const expiryWarning = 30 * 24 * time.Hour

// token is what GitLab tells of the token that asks.
type token struct {
	Name    string   `json:"name"`
	Active  *bool    `json:"active"`
	Scopes  []string `json:"scopes"`
	Expires string   `json:"expires_at"` // a day, or ""
}

// expiry is when the token ends: at the beginning of its day, by UTC.
// Source: docs.gitlab.com/user/profile/personal_access_tokens.
func (t token) expiry() time.Time {
	end, err := time.Parse(time.DateOnly, t.Expires)
	if err != nil {
		return time.Time{}
	}
	return end
}

type user struct {
	Username       string `json:"username"`
	State          string `json:"state"`
	CanCreateGroup *bool  `json:"can_create_group"`
}

// Check implements sdk.Checker.
func (a *Adapter) Check(ctx context.Context) (sdk.Report, error) {
	var report sdk.Report
	if a.api.Anonymous() {
		report.Diagnostics = append(report.Diagnostics, sdk.Diagnostic{
			Severity: sdk.SeverityWarning, Path: "private-token", Summary: "there is no token, so only public projects are seen",
		})
		q := query("per_page", "1")
		_, err := a.api.Do(ctx, httpforge.Request{Path: []string{"projects"}, Query: q, What: "projects"}, &[]project{})
		return report, err
	}
	var version struct {
		Version    string `json:"version"`
		Enterprise bool   `json:"enterprise"`
	}
	_, err := a.api.Do(ctx, httpforge.Request{Path: []string{"version"}, What: "version"}, &version)
	switch {
	case err != nil && sdk.KindOf(err) == sdk.Unauthenticated:
		return sdk.Report{}, sdk.WithHint(err, wrongToken)
	case err != nil:
		return sdk.Report{}, err
	}
	report.ServerVersion = "GitLab " + version.Version
	var u user
	if _, err := a.api.Do(ctx, httpforge.Request{Path: []string{"user"}, What: "user"}, &u); err != nil {
		return sdk.Report{}, err
	}
	report.Diagnostics = append(report.Diagnostics, a.checkUser(u)...)
	var t token
	// Personal, project and group access tokens alike.
	_, err = a.api.Do(ctx, httpforge.Request{Path: []string{"personal_access_tokens", "self"}, What: "token"}, &t)
	switch {
	case err == nil:
		report.ExpiresAt = t.expiry()
		report.Diagnostics = append(report.Diagnostics, a.checkToken(t, time.Now())...)
	case errors.Is(err, context.Canceled), sdk.KindOf(err) == sdk.RateLimited, sdk.KindOf(err) == sdk.Unavailable:
		return report, err
	default:
		report.Diagnostics = append(report.Diagnostics, a.unknownEnd(err, version.Version)...)
	}
	return report, nil
}

const wrongToken = "check the token: is it the right one, is it for this host, and has it not expired? " +
	"It must be a personal, project or group access token; a deploy token is for git alone"

// unknownEnd tells that GitLab refuses to say when the token ends, so that it
// must be noted by hand. GitLab before 15.5 can't say it at all.
// Source: docs.gitlab.com/api/personal_access_tokens.
func (a *Adapter) unknownEnd(err error, version string) []sdk.Diagnostic {
	d := sdk.Diagnostic{
		Severity: sdk.SeverityWarning, Path: "private-token", Summary: "GitLab does not tell when the token ends, so that nobody is warned of it",
		Detail: "note the day that its page shows; a proxy may stand before the API",
	}
	switch sdk.KindOf(err) {
	case sdk.Denied:
		d.Summary, d.Detail = "the token may not read its own end, so that nobody is warned of it", "give it the scope read_user or read_api, or note the day by hand"
	case sdk.Unauthenticated:
		d.Summary, d.Detail = "GitLab does not tell when this kind of token ends, so that nobody is warned of it",
			"use a personal, project or group access token, or note the day by hand"
	case sdk.NotFound:
		if olderThan(version, 15, 5) {
			a.log.Info("this GitLab can't tell when the token ends", "version", version)
			return nil
		}
	}
	return []sdk.Diagnostic{d}
}

// olderThan compares the beginning of a version, such as "15.4.6-ee".
func olderThan(version string, major, minor int) bool {
	var is [2]int
	if n, err := fmt.Sscanf(version, "%d.%d", &is[0], &is[1]); n != 2 || err != nil {
		return false
	}
	return slices.Compare(is[:], []int{major, minor}) < 0
}

func (a *Adapter) checkUser(u user) []sdk.Diagnostic {
	var diags []sdk.Diagnostic
	if u.State != "" && u.State != "active" {
		diags = append(diags, sdk.Diagnostic{
			Severity: sdk.SeverityError, Path: "private-token", Summary: fmt.Sprintf("the token's account %q is %s", u.Username, u.State),
		})
	}
	if a.role == sdk.RoleDownstream && u.CanCreateGroup != nil && !*u.CanCreateGroup {
		diags = append(diags, sdk.Diagnostic{
			Severity: sdk.SeverityWarning, Path: "private-token",
			Summary: fmt.Sprintf("the token's account %q can't make top-level groups", u.Username),
			Detail:  "make the top-level groups that the Lorries need by hand",
		})
	}
	return diags
}

func (a *Adapter) checkToken(t token, now time.Time) []sdk.Diagnostic {
	var diags []sdk.Diagnostic
	complain := func(severity sdk.Severity, summary, detail string) {
		diags = append(diags, sdk.Diagnostic{Severity: severity, Path: "private-token", Summary: summary, Detail: detail})
	}
	if t.Active != nil && !*t.Active {
		complain(sdk.SeverityError, fmt.Sprintf("the token %q is revoked or has expired", t.Name), "make a new one")
	}
	if end := t.expiry(); !end.IsZero() && end.Sub(now) < expiryWarning {
		complain(sdk.SeverityWarning, fmt.Sprintf("the token %q expires on %s", t.Name, t.Expires), "rotate it before that day")
	}
	has := func(any ...string) bool {
		return slices.ContainsFunc(any, func(s string) bool { return slices.Contains(t.Scopes, s) })
	}
	scopes := strings.Join(t.Scopes, ", ")
	overHTTP := a.site.Protocol != "ssh"
	switch {
	case len(t.Scopes) == 0:
	case a.role == sdk.RoleDownstream && !has("api"):
		complain(sdk.SeverityError, "the token has the scopes "+scopes+", which can't make projects", "give it the scope api")
	case a.role == sdk.RoleDownstream && overHTTP && !has("api", "write_repository"):
		complain(sdk.SeverityError, "the token has the scopes "+scopes+", which can't push", "give it the scope write_repository")
	case a.role != sdk.RoleDownstream && !has("api", "read_api"):
		complain(sdk.SeverityError, "the token has the scopes "+scopes+", which can't list projects", "give it the scope read_api")
	case a.role == sdk.RoleUpstream && overHTTP && a.settings.Password.Empty() && !has("api", "read_repository", "write_repository"):
		complain(sdk.SeverityError, "the token has the scopes "+scopes+", which can't read repositories", "give it the scope read_repository")
	}
	return diags
}
