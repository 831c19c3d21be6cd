package bzrsource

import (
	"context"
	"path/filepath"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
)

// Able gives a failure of the kind FailTool when brz is here, but not the
// library by which it exports. Nothing is exported.
func (s *Source) Able(ctx context.Context) error {
	// brz looks for the library before it looks for the branch.
	_, err := s.brz(ctx, true, nil, "fast-export", "--plain", "-q", "--", filepath.Join(s.Repo.Git.Home(), "no-branch"), "-")
	if e := failure(err, gitfail.Local); err != nil && e.Kind == core.FailTool {
		return e
	}
	return ctx.Err()
}
