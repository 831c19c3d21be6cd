package suite

import (
	"context"
	"fmt"

	"github.com/lorry-controller/lorry-controller/sdk"
)

// retiresAndRevives has a repository retired twice and revived twice. What is
// retired must be told as read-only, and must stay so until Ensure is asked to
// revive it: a person may have archived it.
func retiresAndRevives(ctx context.Context, t *Trial) error {
	if !t.Desc.Retire {
		return nil
	}
	return t.down(ctx, func(c *Conn) error {
		if err := c.Retire(ctx, t.path("never-was")); err != nil {
			return fmt.Errorf("retiring a repository that is not there: %w", err)
		}
		want := sdk.Want{Path: t.path("retired"), Description: "Kept"}
		if _, err := t.ensure(ctx, c, want); err != nil {
			return err
		}
		for range 2 {
			if err := c.Retire(ctx, want.Path); err != nil {
				return fmt.Errorf("retiring %q: %w", want.Path, err)
			}
		}
		have, err := t.ensure(ctx, c, want)
		if err != nil {
			return err
		}
		if have.ReadOnlyReason == "" {
			return fmt.Errorf("%q was retired, but nothing is told of why it takes no push", want.Path)
		}
		want.Revive = true
		for range 2 {
			if have, err = t.ensure(ctx, c, want); err != nil {
				return err
			}
			if have.ReadOnlyReason != "" {
				return fmt.Errorf("%q is revived, but takes no push: %s", want.Path, have.ReadOnlyReason)
			}
		}
		return nil
	})
}
