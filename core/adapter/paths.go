package adapter

import (
	"context"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/sdk"
)

var _ core.PathChecker = (*downstream)(nil)

// CheckPaths implements core.PathChecker. An adapter without rules for names is
// not asked.
func (d *downstream) CheckPaths(ctx context.Context, paths []string) ([]core.PathVerdict, error) {
	var verdicts []core.PathVerdict
	err := d.s.with(ctx, RPCCheckPaths, func(cur *session) error {
		if !cur.desc.CheckPaths || len(paths) == 0 {
			return errNotAsked
		}
		list, err := cur.CheckPaths(ctx, paths)
		if err != nil {
			return err
		}
		verdicts = make([]core.PathVerdict, len(list))
		for i, v := range list {
			if fault := pathFault(v.Normal); v.Problem == "" && fault != "" {
				return sdk.Errorf(sdk.Internal, "the path %q would be used as %q: %s", core.Clip(v.Path, mostQuoted), core.Clip(v.Normal, mostQuoted), fault)
			}
			verdicts[i] = core.PathVerdict{Path: v.Path, Normal: v.Normal, Problem: v.Problem, Hint: v.Hint}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return verdicts, nil
}
