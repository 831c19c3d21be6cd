package suite

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/host"
)

func pathCases() []Case {
	return []Case{
		{Name: "refuses paths that the host can't have", Role: sdk.RoleDownstream, Run: refusesForeignPaths},
		{Name: "checks paths as it makes them", Role: sdk.RoleDownstream, Run: checksPaths, Leaks: true},
	}
}

// refusedPaths gives the paths that the host can't have by the fixture's word.
func (t *Trial) refusedPaths() []string {
	list := append([]string(nil), t.Fixture.Refused...)
	if depth := t.Fixture.MaxDepth; depth > 0 {
		list = append(list, path.Join(t.Fixture.Prefix, strings.Repeat("deep/", depth)+"one"))
	}
	return list
}

func refusesForeignPaths(ctx context.Context, t *Trial) error {
	return t.down(ctx, func(c *Conn) error {
		for _, p := range t.refusedPaths() {
			_, err := c.Ensure(ctx, sdk.Want{Path: p})
			if err := wantKind(fmt.Sprintf("the path %q", p), err, sdk.Invalid); err != nil {
				return err
			}
		}
		return nil
	})
}

// checksPaths wants what is told about a path to be what becomes of it.
func checksPaths(ctx context.Context, t *Trial) error {
	return t.down(ctx, func(c *Conn) error {
		one := []string{t.path("once")}
		if !t.Desc.CheckPaths {
			_, err := c.CheckPaths(ctx, one)
			return wantKind("a check of paths that is not described", err, sdk.Unsupported)
		}
		if err := t.checksMany(ctx, c); err != nil {
			return err
		}
		good := []string{t.path("once"), t.path("race"), t.path("group-a/one"), t.path("once")}
		bad := t.refusedPaths()
		verdicts, err := c.CheckPaths(ctx, append(good, bad...))
		if err != nil {
			return err
		}
		var faults []error
		for _, v := range verdicts[:len(good)] {
			if v.Problem != "" {
				faults = append(faults, fmt.Errorf("the path %q, which the host has, is said to be wrong: %s", v.Path, v.Problem))
			}
		}
		if a, b := verdicts[0], verdicts[len(good)-1]; a != b {
			faults = append(faults, fmt.Errorf("one path got two verdicts, %+v and %+v", a, b))
		}
		faults = append(faults, distinct(verdicts[:len(good)-1])...)
		for _, v := range verdicts[len(good):] {
			if v.Problem == "" {
				faults = append(faults, fmt.Errorf("the path %q, which the host can't have, is said to be %q there", v.Path, v.Normal))
			}
		}
		return errors.Join(faults...)
	})
}

// distinct wants different repositories to have different paths on the host.
func distinct(verdicts []host.PathVerdict) []error {
	var faults []error
	seen := map[string]string{}
	for _, v := range verdicts {
		if other, ok := seen[v.Normal]; ok && v.Problem == "" {
			faults = append(faults, fmt.Errorf("the paths %q and %q are said to be the same on the host", other, v.Path))
		}
		seen[v.Normal] = v.Path
	}
	return faults
}

// checksMany asks about more paths than one call may have.
func (t *Trial) checksMany(ctx context.Context, c *Conn) error {
	list := make([]string, 2500)
	for i := range list {
		list[i] = t.path(fmt.Sprintf("many-%d", i))
	}
	verdicts, err := c.CheckPaths(ctx, list)
	if err != nil {
		return fmt.Errorf("checking %d paths: %w", len(list), err)
	}
	if faults := distinct(verdicts); len(faults) > 0 {
		return faults[0]
	}
	return nil
}
