package gitea

import (
	"context"
	"fmt"
	"strings"

	"github.com/lorry-controller/lorry-controller/plugins/internal/httpforge"
	"github.com/lorry-controller/lorry-controller/sdk"
)

// Check implements sdk.Checker.
func (a *Adapter) Check(ctx context.Context) (sdk.Report, error) {
	var report sdk.Report
	var version struct {
		Version string `json:"version"`
	}
	if _, err := a.api.Do(ctx, httpforge.Request{Path: []string{"version"}, What: "version"}, &version); err != nil {
		return report, err
	}
	report.ServerVersion = software(version.Version)
	complain := func(severity sdk.Severity, summary, detail string) {
		report.Diagnostics = append(report.Diagnostics, sdk.Diagnostic{Severity: severity, Path: "access-token", Summary: summary, Detail: detail})
	}
	if a.api.Anonymous() {
		complain(sdk.SeverityWarning, "there is no token, so only public repositories are seen", "")
		return report, nil
	}
	var u struct {
		Login         string `json:"login"`
		Restricted    bool   `json:"restricted"`
		ProhibitLogin bool   `json:"prohibit_login"`
	}
	_, err := a.api.Do(ctx, httpforge.Request{Path: []string{"user"}, What: "the token's account"}, &u)
	switch {
	case err != nil && sdk.KindOf(err) == sdk.Denied:
		// A token with a narrow scope may do all that is needed.
		complain(sdk.SeverityWarning, "the token can't read its own account", "give it the scope read:user, so that its rights can be checked")
		return report, nil
	case err != nil:
		return sdk.Report{}, err
	case u.ProhibitLogin:
		complain(sdk.SeverityError, fmt.Sprintf("the token's account %q may not sign in", u.Login), "")
	case u.Restricted && a.role == sdk.RoleDownstream:
		complain(sdk.SeverityWarning, fmt.Sprintf("the token's account %q is restricted and can't make organisations", u.Login),
			"make the organisations that the Lorries need by hand")
	}
	return report, nil
}

// software names the program behind a version: Forgejo tells the version of
// Gitea whose API it has behind a "+".
func software(version string) string {
	own, compatible, found := strings.Cut(version, "+gitea-")
	if found {
		return "Forgejo " + own + " (API of Gitea " + compatible + ")"
	}
	return "Gitea " + version
}
