package hgsource

import (
	"errors"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
)

// failure reads what hg says of upstream.
func failure(err error) *gitfail.Error {
	var exit *childproc.ExitError
	if errors.As(err, &exit) && exit.Err == nil {
		text := strings.ToLower(exit.Stderr)
		for _, r := range []struct {
			kind          core.FailureKind
			pattern, hint string
			cause         string
		}{
			{core.FailSpec, "largefiles", "the files lie outside of its history, where nothing that is here can reach them: have it converted with hg lfconvert --to-normal", "the repository keeps files by Mercurial's extension largefiles, which cannot be mirrored"},
			{core.FailSpec, "unknown to this mercurial: lfs", "the files lie outside of its history, where nothing that is here can reach them", "the repository keeps files by Mercurial's extension lfs, which cannot be mirrored"},
			{core.FailSpec, "missing processor for flag '0x2000'", "the files lie outside of its history, where nothing that is here can reach them", "the repository keeps files by Mercurial's extension lfs, which cannot be mirrored"},
			{core.FailTool, "features unknown to this mercurial", "install a newer Mercurial where the minion runs", "the repository's format is unknown to the hg that is installed"},
		} {
			if strings.Contains(text, r.pattern) {
				e := gitfail.New(r.kind, gitfail.Upstream, r.hint, "upstream: %s", r.cause)
				e.Err = err
				return e
			}
		}
	}
	return gitfail.From(err, gitfail.Upstream)
}
