package push

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core/importer/policy"
)

func TestParsePorcelain(t *testing.T) {
	t.Parallel()
	text := "To https://example.com/x\n" +
		" \trefs/heads/main:refs/heads/main\tabc..def\n" +
		"*\trefs/heads/new:refs/heads/new\t[new branch]\n" +
		"+\trefs/heads/f:refs/heads/f\tabc...def (forced update)\n" +
		"=\trefs/heads/same:refs/heads/same\t[up to date]\n" +
		"!\trefs/heads/nf:refs/heads/nf\t[rejected] (non-fast-forward)\n" +
		"!\trefs/tags/t:refs/tags/t\t[rejected] (already exists)\n" +
		"!\trefs/heads/hook:refs/heads/hook\t[remote rejected] (pre-receive hook declined (see (the log)))\n" +
		"remote:\tnot a ref\n!\tnonsense\nDone\n"
	want := map[string]report{
		"refs/heads/main": {flag: ' '},
		"refs/heads/new":  {flag: '*'},
		"refs/heads/f":    {flag: '+'},
		"refs/heads/same": {flag: '='},
		"refs/heads/nf":   {'!', "non-fast-forward"},
		"refs/tags/t":     {'!', "already exists"},
		"refs/heads/hook": {'!', "pre-receive hook declined (see (the log))"},
	}
	got := parsePorcelain(text)
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(report{})); diff != "" {
		t.Error(diff)
	}
	for ref, diverged := range map[string]bool{"refs/heads/nf": true, "refs/tags/t": true, "refs/heads/hook": false} {
		if got[ref].diverged() != diverged {
			t.Errorf("%s: want diverged %v", ref, diverged)
		}
	}
}

func TestParts(t *testing.T) {
	t.Parallel()
	have := make(map[string]string)
	var refs []policy.Wanted
	for i := range 2*maxLeases + 10 {
		w := policy.Wanted{Dst: fmt.Sprintf("refs/heads/%05d", i), Object: "b", Force: i%10 != 0}
		have[w.Dst] = "a"
		refs = append(refs, w)
	}
	var again []policy.Wanted
	for _, part := range parts(refs, have) {
		forced := 0
		for _, w := range part {
			if w.Force {
				forced++
			}
		}
		if forced > maxLeases || len(part) == 0 {
			t.Errorf("a part has %d refs, %d of them forced", len(part), forced)
		}
		again = append(again, part...)
	}
	if diff := cmp.Diff(refs, again); diff != "" {
		t.Error(diff)
	}
	if got := parts(nil, nil); got != nil {
		t.Errorf("got %v", got)
	}
}

func FuzzParsePorcelain(f *testing.F) {
	f.Add("!\trefs/a:refs/b\t[rejected] (x)\n")
	f.Fuzz(func(t *testing.T, text string) {
		for dst, r := range parsePorcelain(text) {
			if r.flag != '!' && r.reason != "" {
				t.Errorf("%s: %+v", dst, r)
			}
		}
	})
}
