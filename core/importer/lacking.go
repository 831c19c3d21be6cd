package importer

import (
	"context"
	"io"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/lorry-controller/lorry-controller/core/importer/bzrsource"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
	"github.com/lorry-controller/lorry-controller/core/importer/workcopy"
	"github.com/lorry-controller/lorry-controller/core/spec"
)

// Lacking gives a failure of the kind FailTool for each program that an import
// of the Lorry needs and that is not installed, also where a look at upstream
// does without. Only Spec and Git of the options are used.
func Lacking(ctx context.Context, o Options) []*gitfail.Error {
	missing := o.Git.Lacks(ctx, programs(o.Spec)...)
	if o.Spec.Type == spec.Bzr && len(o.Git.Lacks(ctx, "brz")) == 1 && len(o.Git.Lacks(ctx, "bzr")) == 0 {
		missing = o.Git.Lacks(ctx, slices.DeleteFunc(programs(o.Spec), func(name string) bool { return name == "brz" })...)
	}
	if o.Spec.Type == spec.Bzr && len(missing) == 0 {
		s := &bzrsource.Source{Copy: workcopy.Copy{Repo: &repo.Repo{Git: o.Git}, Progress: io.Discard}, Branches: make([]bzrsource.Branch, 1)}
		if err := s.Able(ctx); err != nil {
			missing = append(missing, err)
		}
	}
	var list []*gitfail.Error
	for _, err := range missing {
		list = append(list, gitfail.From(err, gitfail.Local))
	}
	return list
}

// programs are those beside git that an import of a Lorry runs.
func programs(s spec.Spec) []string {
	var list []string
	switch s.Type {
	case spec.Svn:
		list = []string{"svn", "git svn"}
	case spec.Hg:
		list = []string{"hg"}
	case spec.Cvs:
		list = []string{"cvs", "cvsps", "git cvsimport"}
	case spec.Bzr:
		list = []string{"brz"}
	}
	for _, a := range s.Remotes() {
		if kind, _, _ := endpoint(a.URL); kind == "ssh" && !slices.Contains(list, "ssh") {
			list = append(list, "ssh")
		}
		if tool := unpacker(a.URL); tool != "" && (s.Type == spec.Tarball || s.Type == spec.Gzip) {
			list = append(list, tool)
		}
	}
	return list
}

// unpacker is the program that most likely unpacks what an address leads to:
// the first bytes decide, and a look does not see them.
func unpacker(address string) string {
	name := address
	if u, err := url.Parse(address); err == nil && u.Path != "" {
		name = u.Path
	}
	switch ending := path.Ext(name); strings.ToLower(ending) {
	case ".xz", ".txz", ".lzma", ".tlz":
		return "xz"
	case ".zst", ".tzst":
		return "zstd"
	case ".lz":
		return "lzip"
	case ".z", ".taz":
		return "gzip"
	}
	return ""
}
