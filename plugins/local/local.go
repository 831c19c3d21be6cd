// Package local is the adapter for directory trees: as an Upstream Host it
// lists the bare git repositories below a directory, as the Downstream Host it
// makes bare repositories there.
//
// It reads and writes repositories itself and never starts git. It must not
// leave its directory, not through a symbolic link either.
package local

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/sdk"
)

// Settings are what the adapter is configured with.
type Settings struct {
	Path          string   `setting:"path" doc:"Absolute path of the directory below which repositories are listed." required:"true" role:"upstream"`
	BaseDirectory string   `setting:"base-directory" doc:"Absolute path of the directory below which repositories are made; it is made when it is missing." required:"true" role:"downstream"`
	DefaultBranch string   `setting:"default-branch" doc:"Branch that HEAD of a new repository names when the upstream's is not known." default:"main" role:"downstream"`
	Manifest      bool     `setting:"manifest" doc:"Whether the file manifest.js.gz in base-directory tells what is there, in the format of grokmirror. It follows every push." default:"yes" role:"downstream"`
	ServerInfo    bool     `setting:"update-server-info" doc:"Whether repositories can be served by a web server that knows nothing of git: each push then updates the lists that this takes." default:"no" role:"downstream"`
	ExportOK      bool     `setting:"export-ok" doc:"Whether repositories get the file git-daemon-export-ok, which allows git daemon to serve them." default:"no" role:"downstream"`
	URLPrefix     *url.URL `setting:"url-prefix" doc:"URL of the directory as minions see it, when they run on other machines, such as ssh://git@git.example.com/srv/git. The default is a file URL."`
}

var _ sdk.Validator = (*Settings)(nil)

// Validate implements sdk.Validator.
func (s *Settings) Validate() []sdk.Diagnostic {
	var diags []sdk.Diagnostic
	complain := func(path, summary, detail string) {
		diags = append(diags, sdk.Diagnostic{Severity: sdk.SeverityError, Path: path, Summary: summary, Detail: detail})
	}
	for name, dir := range map[string]string{"path": s.Path, "base-directory": s.BaseDirectory} {
		if dir != "" && !filepath.IsAbs(dir) {
			complain(name, name+" is not an absolute path", "write it from the root on, such as /srv/git")
		}
	}
	if s.Path == "" && s.BaseDirectory == "" {
		complain("", "neither path nor base-directory is given", "give path for an Upstream Host, base-directory for the Downstream Host")
	}
	if branchRef(s.DefaultBranch) == "" {
		complain("default-branch", "default-branch is not the name of a branch", "")
	}
	return diags
}

// Adapter is the adapter with its settings.
type Adapter struct {
	settings Settings
	log      hclog.Logger
	manifest *manifest // nil: none is kept
}

var (
	_ sdk.Upstream    = (*Adapter)(nil)
	_ sdk.Downstream  = (*Adapter)(nil)
	_ sdk.AfterPusher = (*Adapter)(nil)
	_ sdk.Checker     = (*Adapter)(nil)
	_ sdk.PathChecker = (*Adapter)(nil)
	_ io.Closer       = (*Adapter)(nil)
)

// Plugin defines the adapter.
func Plugin() *sdk.Plugin {
	return sdk.Define("local", open, sdk.WithSummary("Directory trees of bare git repositories."))
}

func open(_ context.Context, env sdk.Env, settings Settings) (*Adapter, error) {
	a := &Adapter{settings: settings, log: env.Log}
	if base := settings.BaseDirectory; base != "" && env.Role != sdk.RoleUpstream {
		if err := os.MkdirAll(base, 0o755); err != nil { //nolint:gosec // served to others on purpose
			return nil, problem(err)
		}
		if settings.Manifest {
			a.manifest = startManifest(a.downstreamRoot, env.Log) //nolint:contextcheck // it outlives this call and ends with Close
		}
	}
	return a, nil
}

// Close implements io.Closer: the manifest is written to its end.
func (a *Adapter) Close() error {
	if a.manifest == nil {
		return nil
	}
	return a.manifest.Close()
}

// noted tells the manifest of a repository to which something has happened.
func (a *Adapter) noted(dir string) {
	if a.manifest != nil {
		a.manifest.note(dir)
	}
}

// Check implements sdk.Checker.
func (a *Adapter) Check(context.Context) (sdk.Report, error) {
	report := sdk.Report{ServerVersion: "directory tree"}
	complain := func(setting string, err error) {
		report.Diagnostics = append(report.Diagnostics, sdk.Diagnostic{Severity: sdk.SeverityError, Path: setting, Summary: problem(err).Error()})
	}
	if dir := a.settings.Path; dir != "" {
		if _, err := os.ReadDir(dir); err != nil {
			complain("path", err)
		}
	}
	if dir := a.settings.BaseDirectory; dir != "" {
		if err := syscall.Access(dir, 7); err != nil {
			complain("base-directory", &fs.PathError{Op: "write in", Path: dir, Err: err})
		}
	}
	if a.manifest != nil {
		if err := a.manifest.trouble(); err != nil {
			report.Diagnostics = append(report.Diagnostics, sdk.Diagnostic{
				Severity: sdk.SeverityWarning, Path: "manifest", Summary: "the manifest can't be written: " + err.Error(),
				Detail: "give the user that Lorry Controller runs as the right to write in base-directory, or set manifest to no",
			})
		}
	}
	return report, nil
}

// location gives the URL of a directory below base.
func (a *Adapter) location(base, rel string) string {
	if p := a.settings.URLPrefix; p != nil {
		return p.JoinPath(rel).String()
	}
	return (&url.URL{Scheme: "file", Path: filepath.Join(base, rel)}).String()
}

// problem gives an error of the file system its kind.
func problem(err error) error {
	switch {
	case errors.Is(err, fs.ErrPermission):
		return sdk.WithHint(sdk.Errorf(sdk.Denied, "%w", err), "give the user that Lorry Controller runs as the right to it")
	case errors.Is(err, syscall.EROFS):
		return sdk.Errorf(sdk.ReadOnly, "%w", err)
	case errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT):
		return sdk.WithHint(sdk.Errorf(sdk.Unavailable, "%w", err), "make room on the file system")
	default:
		return sdk.Errorf(sdk.Unavailable, "%w", err)
	}
}

// branchRef gives the full ref of a branch, or "" when the name is none.
func branchRef(name string) string {
	ref := "refs/heads/" + name
	if !validRef(ref) {
		return ""
	}
	return ref
}

// validRef reports whether ref is the full name of a branch that git takes.
func validRef(ref string) bool {
	name, ok := strings.CutPrefix(ref, "refs/heads/")
	if !ok || name == "" || len(ref) > 1024 || strings.ContainsAny(name, " ~^:?*[\\\x7f") || strings.Contains(name, "..") || strings.Contains(name, "@{") {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return !strings.HasSuffix(name, ".") && !strings.HasPrefix(name, "-") && plain(name)
}
