package host_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/host"
)

func TestPathsGetAVerdictEach(t *testing.T) {
	t.Parallel()
	e := &echo{}
	c := serve(t, e)
	got, err := c.CheckPaths(t.Context(), []string{"a/B", "bad/one", "a/b"})
	if err != nil {
		t.Fatal(err)
	}
	want := []host.PathVerdict{
		{Path: "a/B", Normal: "a/b"},
		{Path: "bad/one", Problem: `"bad/one" is a reserved name`, Hint: "rename it"},
		{Path: "a/b", Normal: "a/b"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestManyPathsAreCheckedAThousandAtATime(t *testing.T) {
	t.Parallel()
	e := &echo{}
	c := serve(t, e)
	paths := make([]string, 50_000)
	for i := range paths {
		paths[i] = strings.Repeat("x", 100) + strconv.Itoa(i)
	}
	got, err := c.CheckPaths(t.Context(), paths)
	if err != nil || len(got) != len(paths) || len(e.asked) != len(paths) {
		t.Fatalf("got %d verdicts, it was asked %d times: %v", len(got), len(e.asked), err)
	}
	for i, v := range got {
		if v.Path != paths[i] || v.Normal != paths[i] {
			t.Fatalf("verdict %d is %+v", i, v)
		}
	}
	if got, err := c.CheckPaths(t.Context(), nil); err != nil || len(got) != 0 {
		t.Errorf("no paths: got %v, %v", got, err)
	}
}

// TestVerdictsAreDistrusted: an error that is no verdict ends the call, and a
// path that can't be one is the adapter's fault.
func TestVerdictsAreDistrusted(t *testing.T) {
	t.Parallel()
	e := &echo{err: sdk.Errorf(sdk.Unavailable, "no answer")}
	if _, err := serve(t, e).CheckPaths(t.Context(), []string{"a"}); sdk.KindOf(err) != sdk.Unavailable {
		t.Errorf("want unavailable, got %v", err)
	}
	for _, path := range []string{"", "A\x00b", "a\u202eb", strings.Repeat("a", 2000)} {
		if got, err := serve(t, &echo{}).CheckPaths(t.Context(), []string{path}); err == nil || sdk.KindOf(err) != sdk.Internal {
			t.Errorf("%.20q: got %v, %v", path, got, err)
		}
	}
}

func TestPushOptionsAreDistrusted(t *testing.T) {
	t.Parallel()
	many := make([]string, 17)
	for i := range many {
		many[i] = "option"
	}
	for name, options := range map[string][]string{
		"newline": {"a\nb"}, "NUL": {"a\x00b"}, "empty": {""}, "long": {strings.Repeat("a", 257)},
		"bad UTF-8": {"a\xff"}, "many": many,
	} {
		e := &echo{have: sdk.Have{PushOptions: options}}
		e.have.URL = "https://git.example.com/a.git"
		if have, err := serve(t, e).Ensure(t.Context(), sdk.Want{Path: "a"}); err == nil || sdk.KindOf(err) != sdk.Internal || have.URL != "" {
			t.Errorf("%s: got %+v, %v", name, have, err)
		}
	}
	e := &echo{have: sdk.Have{PushOptions: []string{"skip-validation", fmt.Sprintf("notify=%s", "NONE")}}}
	have, err := serve(t, e).Ensure(t.Context(), sdk.Want{Path: "a"})
	if diff := cmp.Diff(e.have.PushOptions, have.PushOptions); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
