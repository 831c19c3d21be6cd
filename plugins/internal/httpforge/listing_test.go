package httpforge

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/sdk"
)

// A row that comes twice is given once, a disabled one not at all, and a reason
// why some are missing comes last.
func TestListing(t *testing.T) {
	t.Parallel()
	run := func(l *Listing) error {
		for i, path := range []string{"a", "off", "b", "a", "c"} {
			if l.First(int64(path[0])) {
				l.Give(sdk.Repo{Path: path, Disabled: i == 1})
			}
		}
		l.Miss("some went away")
		return nil
	}
	var got []string
	for repo, err := range List(t.Context(), run) {
		if err != nil {
			repo.Path = err.Error()
		}
		got = append(got, repo.Path)
	}
	if diff := cmp.Diff([]string{"a", "b", "c", sdk.Incomplete("some went away").Error()}, got); diff != "" {
		t.Errorf("listing (-want +got):\n%s", diff)
	}
}

func TestListingEndsWhenTheCallerHasSeenEnough(t *testing.T) {
	t.Parallel()
	given := 0
	run := func(l *Listing) error {
		l.Give(sdk.Repo{Path: "a"})
		if !l.Enough() {
			t.Error("it does not know that the caller has seen enough")
		}
		l.Give(sdk.Repo{Path: "b"})
		return errors.New("an error that nobody waits for")
	}
	for range List(t.Context(), run) {
		given++
		break
	}
	if given != 1 {
		t.Errorf("%d repositories are given", given)
	}
}

func TestAccessHasNoSecretWhereNoneMayBe(t *testing.T) {
	t.Parallel()
	const address = "https://git.example.com/a/b.git"
	secret := sdk.NewSecret(canary)
	for name, tc := range map[string]struct {
		site Site
		user string
		want sdk.Access
	}{
		"https":        {Site{Protocol: "https"}, "", sdk.Access{URL: address, Username: "oauth2", Secret: secret}},
		"with a name":  {Site{Protocol: "https"}, "jo", sdk.Access{URL: address, Username: "jo", Secret: secret}},
		"ssh":          {Site{Protocol: "ssh"}, "jo", sdk.Access{URL: address}},
		"not verified": {Site{Protocol: "https", Unverified: true}, "jo", sdk.Access{URL: address}},
	} {
		got := tc.site.Access(address, tc.user, secret)
		if got.URL != tc.want.URL || got.Username != tc.want.Username || got.Secret.Reveal() != tc.want.Secret.Reveal() {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}
