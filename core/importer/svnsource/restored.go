package svnsource

import (
	"context"
	"strconv"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
)

func (i info) last() last {
	n, _ := strconv.ParseInt(i.revision, 10, 64) // 0: nobody knows
	return last{Revision: n, Date: i.date}
}

// same refuses a repository that has another history than the one that was
// fetched, such as one that was restored from an older copy: git svn asks for
// nothing but later revisions, and would put them on top of what is gone.
func (s *Source) same(ctx context.Context, rec record, now info) error {
	was, is := rec.Last, now.last()
	if rec.From != s.Access.URL || was.Revision == 0 || is.Revision == 0 {
		return nil
	}
	if is.Revision < was.Revision {
		return otherHistory("its last change is in r%d, but r%d was mirrored", is.Revision, was.Revision)
	}
	if is.Revision > was.Revision && !strings.HasPrefix(s.Access.URL, "http") {
		// What cannot be asked, since the directory was another one then, says
		// nothing.
		then, err := s.infoAt(ctx, strconv.FormatInt(was.Revision, 10))
		if err != nil {
			return ctx.Err()
		}
		is = then.last()
	}
	if is.Revision == was.Revision && is.Date != was.Date && is.Date != "" && was.Date != "" {
		return otherHistory("r%d is of %s, but the one that was mirrored of %s", was.Revision, is.Date, was.Date)
	}
	return nil
}

func otherHistory(format string, args ...any) error {
	return gitfail.New(core.FailDiverged, gitfail.Upstream,
		"a server that lags behind catches up; if only the revision's svn:date was changed there, have it set back; if the repository was restored from an older copy, remove this Lorry's directory from the working area: its history is then another",
		"upstream: it has another history than the one that was mirrored: "+format, args...)
}
