package suite

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/sdk"
)

func upstreamCases() []Case {
	return []Case{
		{Name: "lists every repository once", Role: sdk.RoleUpstream, Run: listsOnce},
		{Name: "lists the same when asked twice at once", Role: sdk.RoleUpstream, Run: listsTwice},
		{Name: "gives each repository as it was listed", Role: sdk.RoleUpstream, Run: agrees, Leaks: true},
		{Name: "does not find a missing repository", Role: sdk.RoleUpstream, Run: missesRepo},
		{Name: "does not find paths that are none", Role: sdk.RoleUpstream, Run: missesBadPaths},
		{Name: "ends a listing that is left, and serves on", Role: sdk.RoleUpstream, Run: leavesListing, Leaks: true},
		{Name: "keeps a deadline", Role: sdk.RoleUpstream, Run: keepsDeadline},
		{Name: "lists 0, 1, 99, 100, 101 and 10,000 repositories", Role: sdk.RoleUpstream, Run: listsManySizes, Seeds: true},
	}
}

// paths lists the host and gives the sorted paths.
func paths(ctx context.Context, c *Conn) ([]string, error) {
	var list []string
	for repo, err := range c.Repos(ctx) {
		if err != nil {
			return list, fmt.Errorf("listing: %w", err)
		}
		list = append(list, repo.Path)
	}
	slices.Sort(list)
	return list, nil
}

// same compares listings, and names a few of the differences.
func same(want, got []string) error {
	want = slices.Sorted(slices.Values(want))
	var faults []string
	for i := 1; i < len(got); i++ {
		if got[i] == got[i-1] {
			faults = append(faults, "twice: "+got[i])
		}
	}
	for _, p := range want {
		if _, ok := slices.BinarySearch(got, p); !ok {
			faults = append(faults, "missing: "+p)
		}
	}
	for _, p := range got {
		if _, ok := slices.BinarySearch(want, p); !ok {
			faults = append(faults, "not wanted: "+p)
		}
	}
	if len(faults) == 0 {
		return nil
	}
	return fmt.Errorf("%d differences in the listing, such as %s", len(faults), strings.Join(faults[:min(len(faults), 5)], ", "))
}

func listsOnce(ctx context.Context, t *Trial) error {
	if len(t.Fixture.Repos) == 0 {
		return errors.New("the fixture names no repository of the Upstream Host")
	}
	return t.up(ctx, func(c *Conn) error {
		got, err := paths(ctx, c)
		if err != nil {
			return err
		}
		return same(t.Fixture.Repos, got)
	})
}

func listsTwice(ctx context.Context, t *Trial) error {
	return t.up(ctx, func(c *Conn) error {
		results := make(chan error, 4)
		for range cap(results) {
			go func() {
				got, err := paths(ctx, c)
				if err == nil {
					err = same(t.Fixture.Repos, got)
				}
				results <- err
			}()
		}
		var all []error
		for range cap(results) {
			all = append(all, <-results)
		}
		return errors.Join(all...)
	})
}

func agrees(ctx context.Context, t *Trial) error {
	return t.up(ctx, func(c *Conn) error {
		checked := 0
		for listed, err := range c.Repos(ctx) {
			if err != nil {
				return err
			}
			if checked++; checked > 20 {
				break
			}
			got, access, err := c.Repo(ctx, listed.Path)
			switch {
			case err != nil:
				return fmt.Errorf("the listed repository %q can't be got: %w", listed.Path, err)
			case got.Path != listed.Path || got.ID != listed.ID || got.CloneURL != listed.CloneURL:
				return fmt.Errorf("listed as %+v, got as %+v", listed, got)
			case !got.Disabled && access.URL == "":
				return fmt.Errorf("there is no URL to clone %q from", listed.Path)
			case strings.HasSuffix(listed.Path, ".git") || strings.HasPrefix(listed.Path, "/"):
				return fmt.Errorf("the path %q starts with a slash or ends in .git", listed.Path)
			case listed.Head != "" && !strings.HasPrefix(listed.Head, "refs/heads/"):
				return fmt.Errorf("the default branch %q of %q is not a full ref", listed.Head, listed.Path)
			}
		}
		return nil
	})
}

func missesRepo(ctx context.Context, t *Trial) error {
	return t.up(ctx, func(c *Conn) error {
		_, _, err := c.Repo(ctx, "conform/there-is-no-such-repository")
		return wantKind("a missing repository", err, sdk.NotFound)
	})
}

// badPaths are paths that no host has and that must do no harm.
func badPaths() []string {
	return []string{"", "/", "..", "../conform", "a/../../b", "/etc", "a//b", "a/./b", "a\x00b", "a\nb", "conform/", "a\\..\\b", strings.Repeat("a/", 2000) + "a"}
}

func missesBadPaths(ctx context.Context, t *Trial) error {
	return t.up(ctx, func(c *Conn) error {
		for _, p := range badPaths() {
			_, _, err := c.Repo(ctx, p)
			if err := wantKind(fmt.Sprintf("the path %.40q", p), err, sdk.NotFound, sdk.Invalid, sdk.Denied); err != nil {
				return err
			}
		}
		return nil
	})
}

func leavesListing(ctx context.Context, t *Trial) error {
	return t.up(ctx, func(c *Conn) error {
		for _, err := range c.Repos(ctx) {
			if err != nil {
				return err
			}
			break
		}
		got, err := paths(ctx, c)
		if err != nil {
			return fmt.Errorf("after a listing that was left: %w", err)
		}
		return same(t.Fixture.Repos, got)
	})
}

func keepsDeadline(ctx context.Context, t *Trial) error {
	return t.up(ctx, func(c *Conn) error {
		short, cancel := context.WithDeadline(ctx, time.Now().Add(-time.Second))
		defer cancel()
		for _, err := range c.Repos(short) {
			if !errors.Is(err, context.DeadlineExceeded) {
				return fmt.Errorf("a listing after its deadline: want %w, got %w", context.DeadlineExceeded, err)
			}
		}
		return nil
	})
}

func listsManySizes(ctx context.Context, t *Trial) error {
	for _, n := range []int{0, 1, 99, 100, 101, 10_000} {
		h, err := t.Fixture.Seed(n)
		if err != nil {
			return fmt.Errorf("seeding %d repositories: %w", n, err)
		}
		err = t.configured(ctx, sdk.RoleUpstream, h, func(c *Conn) error {
			got, err := paths(ctx, c)
			if err != nil {
				return err
			}
			if unique := len(slices.Compact(got)); unique != n {
				return fmt.Errorf("of %d repositories, %d were listed", n, unique)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
