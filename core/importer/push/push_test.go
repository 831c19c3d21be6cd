package push

import (
	"testing"

	"github.com/google/go-cmp/cmp"
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
