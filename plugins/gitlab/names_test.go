package gitlab

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/gitlabfake"
)

// What is said of names when the configuration is read is what comes of them,
// and needs no word with the host.
func TestNamesAreCheckedBeforeTheHostIsAsked(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, gitlabfake.Options{})
	c := downstream(t, address, nil)
	good := map[string]string{"a/b": "a/b", "Mirrors/Lib_X.y": "mirrors/lib_x.y", "a/b/c": "a/b/c"}
	bad := []string{"a", "a/gtk+", "a/libstdc++", "-a/b", "a/b.git", "a/b.atom", "api/b", "A/tree", "a//b", "a./b"}
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
