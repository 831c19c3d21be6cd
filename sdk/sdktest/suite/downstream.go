package suite

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/lorry-controller/lorry-controller/sdk"
)

func downstreamCases() []Case {
	return []Case{
		{Name: "makes a repository, once", Role: sdk.RoleDownstream, Run: ensuresOnce},
		{Name: "lets eight make the same repository", Role: sdk.RoleDownstream, Run: ensuresAtOnce},
		{Name: "makes repositories in a new group", Role: sdk.RoleDownstream, Run: ensuresDeep},
		{Name: "takes a changed description", Role: sdk.RoleDownstream, Run: ensuresUpdate},
		{Name: "takes text of every kind", Role: sdk.RoleDownstream, Run: ensuresText},
		{Name: "refuses paths that are none", Role: sdk.RoleDownstream, Run: refusesBadPaths},
		{Name: "does what follows a push, again and again", Role: sdk.RoleDownstream, Run: followsPush},
		{Name: "retires a repository, and revives it when it is asked to", Role: sdk.RoleDownstream, Run: retiresAndRevives},
	}
}

// ensure makes a repository and looks at the answer.
func (t *Trial) ensure(ctx context.Context, c *Conn, want sdk.Want) (sdk.Have, error) {
	have, err := c.Ensure(ctx, want)
	if err != nil {
		return have, fmt.Errorf("ensuring %q: %w", want.Path, err)
	}
	if have.URL == "" {
		return have, fmt.Errorf("there is no URL to push %q to", want.Path)
	}
	if t.Fixture.Verify != nil {
		if err := t.Fixture.Verify(want, have); err != nil {
			return have, fmt.Errorf("%q on the host itself: %w", want.Path, err)
		}
	}
	return have, nil
}

// path gives a path below the fixture's prefix that is no deeper than the host
// can have: what would be, has its first components joined.
func (t *Trial) path(name string) string {
	p := path.Join(t.Fixture.Prefix, name)
	for t.Fixture.MaxDepth > 0 && strings.Count(p, "/") >= t.Fixture.MaxDepth {
		p = strings.Replace(p, "/", "-", 1)
	}
	return p
}

func ensuresOnce(ctx context.Context, t *Trial) error {
	return t.down(ctx, func(c *Conn) error {
		want := sdk.Want{Path: t.path("once"), Description: "Made by the conformance suite", Head: "refs/heads/main"}
		first, err := t.ensure(ctx, c, want)
		if err != nil {
			return err
		}
		second, err := t.ensure(ctx, c, want)
		if err != nil {
			return err
		}
		switch {
		case !first.Created || second.Created:
			return fmt.Errorf("want it created by the first call alone, got %v and %v", first.Created, second.Created)
		case first.URL != second.URL:
			return fmt.Errorf("the URL was %q, then %q", first.URL, second.URL)
		}
		return nil
	})
}

func ensuresAtOnce(ctx context.Context, t *Trial) error {
	type result struct {
		created bool
		err     error
	}
	return t.down(ctx, func(c *Conn) error {
		results := make(chan result, 8)
		for range cap(results) {
			go func() {
				have, err := t.ensure(ctx, c, sdk.Want{Path: t.path("race")})
				results <- result{have.Created, err}
			}()
		}
		created := 0
		var all []error
		for range cap(results) {
			r := <-results
			all = append(all, r.err)
			if r.created {
				created++
			}
		}
		if created > 1 {
			all = append(all, fmt.Errorf("%d of 8 calls say that they have created it", created))
		}
		return errors.Join(all...)
	})
}

func ensuresDeep(ctx context.Context, t *Trial) error {
	return t.down(ctx, func(c *Conn) error {
		for _, name := range []string{"group-a/one", "group-a/two"} {
			if _, err := t.ensure(ctx, c, sdk.Want{Path: t.path(name)}); err != nil {
				return err
			}
		}
		return nil
	})
}

func ensuresUpdate(ctx context.Context, t *Trial) error {
	return t.down(ctx, func(c *Conn) error {
		for _, description := range []string{"First", "Second", ""} {
			if _, err := t.ensure(ctx, c, sdk.Want{Path: t.path("changed"), Description: description}); err != nil {
				return err
			}
		}
		return nil
	})
}

func ensuresText(ctx context.Context, t *Trial) error {
	return t.down(ctx, func(c *Conn) error {
		text := "Ünïcödé ✓ 日本語 <b>\"quotes\"</b> 'and' $(more) `text` \\ %s;"
		_, err := c.Ensure(ctx, sdk.Want{Path: t.path("text"), Description: text})
		return err
	})
}

func refusesBadPaths(ctx context.Context, t *Trial) error {
	return t.down(ctx, func(c *Conn) error {
		for _, p := range badPaths() {
			_, err := c.Ensure(ctx, sdk.Want{Path: p})
			if err := wantKind(fmt.Sprintf("the path %.40q", p), err, sdk.Invalid, sdk.Denied, sdk.NotFound, sdk.Unsupported); err != nil {
				return err
			}
		}
		return nil
	})
}

func followsPush(ctx context.Context, t *Trial) error {
	if !t.Desc.AfterPush {
		return nil
	}
	return t.down(ctx, func(c *Conn) error {
		want := sdk.Want{Path: t.path("pushed"), Head: "refs/heads/main", Description: "Pushed"}
		if _, err := t.ensure(ctx, c, want); err != nil {
			return err
		}
		for range 2 {
			// Nothing was pushed, so the branch may be missed; no other fault may be.
			if err := c.AfterPush(ctx, want); err != nil && sdk.KindOf(err) != sdk.NotFound {
				return err
			}
		}
		return nil
	})
}
