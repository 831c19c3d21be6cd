// Package plugintest is what the tests of several adapters share: serving a
// fake, opening an adapter on it, and what all of them must do.
//
// It is for tests alone and must know no adapter.
package plugintest

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/host"
	"github.com/lorry-controller/lorry-controller/sdk/sdktest"
)

// Canary is a part of every secret, so that it is found where none may be.
const Canary = "CANARY"

// Fake is a forge that notes what it is asked for.
type Fake interface {
	http.Handler
	Requests() []string
}

// Serve serves a fake until the test ends, which fails if a secret stood in a
// URL.
func Serve(t testing.TB, fake Fake) (address string) {
	t.Helper()
	server := httptest.NewServer(fake)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		for _, r := range fake.Requests() {
			if strings.Contains(r, Canary) {
				t.Errorf("the token is in the URL of %q", r)
			}
		}
	})
	return server.URL
}

// Session configures an adapter with a token, which is the setting called
// name. The settings may have another one, or "" for none.
func Session(t testing.TB, p *sdk.Plugin, role sdk.Role, name, token string, settings map[string]any) *host.Client {
	t.Helper()
	s := host.Settings{Instance: "test", Role: role, Values: maps.Clone(settings), Secrets: map[string]sdk.Secret{}}
	if own, ok := settings[name].(string); ok {
		token = own
		delete(s.Values, name)
	}
	if token != "" {
		s.Secrets[name] = sdk.NewSecret(token)
	}
	return sdktest.Open(t, p, s)
}

// Paths gives the sorted paths of a listing.
func Paths(t testing.TB, c *host.Client) []string {
	t.Helper()
	var paths []string
	for r, err := range c.Repos(t.Context()) {
		if err != nil {
			t.Fatalf("listing: %v", err)
		}
		paths = append(paths, r.Path)
	}
	slices.Sort(paths)
	return paths
}

// ListError gives the error that a listing ends with.
func ListError(t testing.TB, c *host.Client) error {
	t.Helper()
	for _, err := range c.Repos(t.Context()) {
		if err != nil {
			return err
		}
	}
	t.Fatal("the listing ends without an error")
	return nil
}

// WantFact looks at an error's kind and at words of its fact.
func WantFact(t testing.TB, err error, kind sdk.Kind, words string) {
	t.Helper()
	wantError(t, err, kind, words, func(e *sdk.Error) string { return e.Fact })
}

// WantTold is WantFact for words that may stand in the hint.
func WantTold(t testing.TB, err error, kind sdk.Kind, words string) {
	t.Helper()
	wantError(t, err, kind, words, func(e *sdk.Error) string { return e.Fact + " " + e.Hint })
}

func wantError(t testing.TB, err error, kind sdk.Kind, words string, told func(*sdk.Error) string) {
	t.Helper()
	var e *sdk.Error
	if !errors.As(err, &e) {
		t.Fatalf("want an error of kind %s, got %v", kind, err)
	}
	if e.Kind != kind || !strings.Contains(told(e), words) {
		t.Errorf("want kind %s and %q, got kind %s: %s (%s)", kind, words, e.Kind, e.Fact, e.Hint)
	}
	if strings.Contains(e.Fact+e.Hint+err.Error(), Canary) {
		t.Errorf("a secret is in the error: %v (%s)", err, e.Hint)
	}
}

// MakesOne wants eight calls at once to make one repository.
func MakesOne(t testing.TB, c *host.Client, path string) {
	t.Helper()
	var mu sync.Mutex
	var wait sync.WaitGroup
	created := 0
	for range 8 {
		wait.Go(func() {
			have, err := c.Ensure(t.Context(), sdk.Want{Path: path})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			if have.Created {
				created++
			}
		})
	}
	wait.Wait()
	if created != 1 {
		t.Errorf("want one creation, got %d", created)
	}
}

// ChecksNames wants what is said of names when the configuration is read to be
// what comes of them, without a word with the host. good has the normal form of
// each name.
func ChecksNames(t testing.TB, c *host.Client, fake Fake, good map[string]string, bad []string) {
	t.Helper()
	verdicts, err := c.CheckPaths(t.Context(), append(slices.Sorted(maps.Keys(good)), bad...))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, v := range verdicts {
		switch {
		case v.Problem == "":
			got[v.Path] = v.Normal
		case v.Hint == "":
			t.Errorf("%q: no word on what to do about %q", v.Path, v.Problem)
		}
	}
	if diff := cmp.Diff(good, got); diff != "" {
		t.Errorf("paths that can be (-want +got):\n%s", diff)
	}
	if n := len(fake.Requests()); n > 0 {
		t.Errorf("the host was asked %d times", n)
	}
	for _, path := range bad {
		if _, err := c.Ensure(t.Context(), sdk.Want{Path: path}); err == nil || sdk.KindOf(err) != sdk.Invalid {
			t.Errorf("%q is taken: %v", path, err)
		}
	}
}
