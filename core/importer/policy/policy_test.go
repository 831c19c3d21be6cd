package policy

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/spec"
)

func upstream() map[string]string {
	return map[string]string{
		"refs/heads/main": "a1", "refs/heads/next": "a2", "refs/heads/wip/x": "a3", "refs/heads/v1": "a4",
		"refs/tags/v1": "b1", "refs/tags/v2": "b2", "refs/notes/commits": "c1", "refs/lorry/kept/heads/main/x": "d1",
	}
}

func TestWanted(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		spec     spec.Spec
		rewrites core.RewritePolicy
		want     string
		missing  []string
	}{
		{
			name: "default",
			want: "heads/main=a1 heads/next=a2 heads/v1=a4 heads/wip/x=a3 tags/v1=b1 tags/v2=b2",
		},
		{
			name: "forced", spec: spec.Spec{Refspecs: []string{"+refs/heads/w*", "refs/tags/v2"}},
			want: "heads/wip/x=a3! tags/v2=b2",
		},
		{
			name: "a name goes before a pattern", spec: spec.Spec{Refspecs: []string{"refs/heads/*", "+next"}},
			want: "heads/main=a1 heads/next=a2! heads/v1=a4 heads/wip/x=a3",
		},
		{
			name: "a branch goes before a tag", spec: spec.Spec{Refspecs: []string{"v1", "v2:two"}},
			want: "heads/v1=a4 tags/two=b2",
		},
		{
			name: "renamed by pattern", spec: spec.Spec{Refspecs: []string{"+refs/heads/*:refs/heads/up/*", "^refs/heads/wip/*"}},
			want: "heads/up/main=a1! heads/up/next=a2! heads/up/v1=a4!",
		},
		{
			name: "gone", spec: spec.Spec{Refspecs: []string{"main", "old"}},
			want: "heads/main=a1", missing: []string{"old"},
		},
		{
			name: "everything but our own", spec: spec.Spec{Refspecs: []string{"refs/*"}},
			want: "heads/main=a1 heads/next=a2 heads/v1=a4 heads/wip/x=a3 notes/commits=c1 tags/v1=b1 tags/v2=b2",
		},
		{
			name: "patterns of the successor", spec: spec.Spec{RefPatterns: []string{"m*", "refs/tags/*"}, IgnorePatterns: []string{"refs/tags/?2"}},
			want: "heads/main=a1 tags/v1=b1",
		},
		{
			name: "patterns with any characters", spec: spec.Spec{RefPatterns: []string{"ma?n", "n*x*", "*/?", "refs/tags/?1"}},
			want: "heads/main=a1 heads/next=a2 heads/wip/x=a3 tags/v1=b1",
		},
		{
			name: "a pattern that no ref matches", spec: spec.Spec{RefPatterns: []string{"ma?", "refs/heads/mai"}},
			missing: []string{"refs/heads/mai"},
		},
		{
			name: "held", spec: spec.Spec{Refspecs: []string{"+main"}}, rewrites: core.RewriteHold,
			want: "heads/main=a1",
		},
		{
			name: "the spec's own word wins", spec: spec.Spec{Refspecs: []string{"main"}, Rewrites: core.RewriteForce}, rewrites: core.RewriteHold,
			want: "heads/main=a1!",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p, err := New(test.spec, test.rewrites)
			if err != nil {
				t.Fatal(err)
			}
			wanted, missing := p.Wanted(upstream())
			var got []string
			for _, w := range wanted {
				text := strings.TrimPrefix(w.Dst, "refs/") + "=" + w.Object
				if w.Force {
					text += "!"
				}
				got = append(got, text)
			}
			if diff := cmp.Diff(test.want, strings.Join(got, " ")); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(test.missing, missing); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestPassedOver: of two refs that would have one name downstream, the one that
// goes nowhere is known.
func TestPassedOver(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		refspecs []string
		want     []string
	}{
		{nil, nil},
		{[]string{"refs/heads/*", "main"}, nil},
		{[]string{"refs/heads/next:refs/heads/main", "refs/heads/*"}, []string{"refs/heads/main over refs/heads/next as refs/heads/main"}},
		{[]string{"refs/heads/next:refs/heads/main", "refs/heads/main:refs/heads/kept", "refs/heads/*"}, nil},
		{[]string{"refs/heads/*", "refs/tags/*:refs/heads/*"}, []string{"refs/tags/v1 over refs/heads/v1 as refs/heads/v1"}},
		{[]string{"refs/heads/next:refs/heads/main", "refs/heads/*", "^refs/heads/main"}, nil},
	} {
		p, err := New(spec.Spec{Refspecs: test.refspecs}, "")
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range p.PassedOver(upstream()) {
			got = append(got, o.Src+" over "+o.For+" as "+o.Dst)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%v: %s", test.refspecs, diff)
		}
	}
}

func TestMirrors(t *testing.T) {
	t.Parallel()
	p, err := New(spec.Spec{Refspecs: []string{"main", "refs/notes/*"}}, "")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"refs/heads/main": true, "refs/heads/other": true, "refs/tags/v1": true, "refs/notes/commits": true,
		"refs/pull/1/head": false, "refs/keep-around/x": false, "HEAD": false,
	} {
		if got := p.Mirrors(name); got != want {
			t.Errorf("%s: want %v", name, want)
		}
	}
	if diff := cmp.Diff([]string{"refs/heads/", "refs/tags/", "refs/notes/"}, p.Prefixes()); diff != "" {
		t.Error(diff)
	}
}

// TestOwnRefsAreNoMirrors: a refspec for everything brings nothing over the
// working area's own refs.
func TestOwnRefsAreNoMirrors(t *testing.T) {
	t.Parallel()
	p, err := New(spec.Spec{Refspecs: []string{"+refs/*"}}, "")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"refs/stash": true, "refs/lorry": false, "refs/lorry/svn/master": false, "refs/lorry/kept/heads/main/x": false, "refs/lorryload": true,
	} {
		if got := p.Mirrors(name); got != want {
			t.Errorf("%s: want %v", name, want)
		}
	}
	want := []string{"+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*", "+refs/*:refs/*", "^refs/lorry", "^refs/lorry/*"}
	if diff := cmp.Diff(want, p.FetchRefspecs()); diff != "" {
		t.Error(diff)
	}
}

func TestOwnRefsAreRefused(t *testing.T) {
	t.Parallel()
	for _, r := range []string{"refs/lorry/*", "refs/heads/*:refs/lorry/x/*"} {
		if _, err := New(spec.Spec{Refspecs: []string{r}}, ""); err == nil {
			t.Errorf("%s was accepted", r)
		}
	}
}

func TestKeyTellsPoliciesApart(t *testing.T) {
	t.Parallel()
	seen := make(map[string]int)
	for i, s := range []spec.Spec{
		{},
		{Refspecs: []string{"main"}},
		{Refspecs: []string{"+main"}},
		{IgnorePatterns: []string{"x"}},
		{RefPatterns: []string{"m?"}},
		{RefPatterns: []string{"m*"}},
		{Prune: true},
		{Rewrites: core.RewriteHold},
	} {
		p, err := New(s, "")
		if err != nil {
			t.Fatal(err)
		}
		if j, there := seen[p.Key()]; there {
			t.Errorf("policies %d and %d have one key", i, j)
		}
		seen[p.Key()] = i
	}
}

func FuzzGlob(f *testing.F) {
	f.Add("a*b?c*", "axxbyczz")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		got := glob(pattern, name)
		if !strings.ContainsAny(pattern, "*?") && got != (pattern == name) {
			t.Errorf("glob(%q, %q) = %v", pattern, name, got)
		}
		if !glob("*"+pattern+"*", "x"+name+"y") && got {
			t.Errorf("%q matches %q, but not with stars around", pattern, name)
		}
	})
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	p, err := New(spec.Spec{Refspecs: []string{"main:trunk", "refs/heads/*:refs/heads/up/*", "+refs/tags/v*", "^refs/tags/v0*"}}, "")
	if err != nil {
		t.Fatal(err)
	}
	down := map[string]string{
		"refs/heads/trunk": "1", "refs/heads/up/a/b": "2", "refs/heads/local": "3", "refs/heads/up/main": "4",
		"refs/tags/v1": "5", "refs/tags/v0.1": "6", "refs/tags/local": "7",
	}
	want := map[string]string{"refs/heads/main": "1", "refs/heads/a/b": "2", "refs/tags/v1": "5"}
	for range 20 { // in whatever order the map comes
		if diff := cmp.Diff(want, p.Origins(down)); diff != "" {
			t.Fatal(diff)
		}
	}
}
