package spec

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
)

func TestParseAddress(t *testing.T) {
	t.Parallel()
	secret := func(url, user, secret string) core.Access {
		return core.Access{URL: url, Username: user, Secret: core.NewSecret(secret)}
	}
	at := func(url string) core.Access { return core.Access{URL: url} }
	for _, test := range []struct {
		typ  Type
		in   string
		want core.Access
		host string
	}{
		{Git, "https://example.org/a.git", at("https://example.org/a.git"), "example.org"},
		{Git, "https://Example.ORG:8443/a.git", at("https://Example.ORG:8443/a.git"), "example.org"},
		{Git, "https://me:p%40ss@example.org/a.git", secret("https://example.org/a.git", "me", "p@ss"), "example.org"},
		{Git, "https://me:p@ss@example.org/a.git", secret("https://example.org/a.git", "me", "p@ss"), "example.org"},
		{Git, "https://t0ken@example.org/a.git", secret("https://example.org/a.git", "", "t0ken"), "example.org"},
		{Git, "ssh://git@example.org:29418/a", at("ssh://git@example.org:29418/a"), "example.org"},
		{Git, "ssh://git:pw@example.org/a", at("ssh://git@example.org/a"), "example.org"},
		{Git, "git+ssh://git@example.org/a", at("ssh://git@example.org/a"), "example.org"},
		{Git, "git@example.org:a/b.git", at("git@example.org:a/b.git"), "example.org"},
		{Git, "example.org:a/b.git", at("example.org:a/b.git"), "example.org"},
		{Git, "git://[2001:db8::1]/a", at("git://[2001:db8::1]/a"), "2001:db8::1"},
		{Git, "file:///srv/git/a.git", at("file:///srv/git/a.git"), ""},
		{Git, "/srv/git/a.git", at("/srv/git/a.git"), ""},
		{Cvs, ":pserver:anonymous:pw@example.org:/cvs", secret(":pserver:anonymous@example.org:/cvs", "anonymous", "pw"), "example.org"},
		{Cvs, ":pserver:anonymous@example.org:2401/cvs", at(":pserver:anonymous@example.org:2401/cvs"), "example.org"},
		{Tarball, "www.example.org/get/x-1.tar.bz2/from/a/mirror", at("http://www.example.org/get/x-1.tar.bz2/from/a/mirror"), "www.example.org"},
		{Cvs, ":fork:/srv/cvs", at("/srv/cvs"), ""},
		{Cvs, ":local:/srv/cvs", at("/srv/cvs"), ""},
		{Bzr, "lp:~team/thing/trunk", at("lp:~team/thing/trunk"), "bazaar.launchpad.net"},
		{Svn, "svn+ssh://me@example.org/x", at("svn+ssh://me@example.org/x"), "example.org"},
	} {
		t.Run(test.in, func(t *testing.T) {
			t.Parallel()
			got, err := ParseAddress(test.typ, test.in)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, sameSecrets); diff != "" {
				t.Error(diff)
			}
			if host := (Spec{Type: test.typ, Access: got}).UpstreamHost(); host != test.host {
				t.Errorf("want host %q, got %q", test.host, host)
			}
		})
	}
}

func TestParseAddressRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		typ Type
		in  string
	}{
		{Git, ""},
		{Git, "-oProxyCommand=x"},
		{Git, "--upload-pack=touch /tmp/x"},
		{Git, "ext::sh"},
		{Git, "fd::17"},
		{Git, "ssh://-oProxyCommand=x/y"},
		{Git, "ssh://-x@example.org/y"},
		{Git, "-x@example.org:y"},
		{Git, "example.org:-x"},
		{Git, "ssh://example.org/-x"},
		{Git, "relative/path"},
		{Git, "../up"},
		{Git, "https://exa mple.org/x"},
		{Git, "https://example.org/x\ny"},
		{Git, "https:///x"},
		{Git, "https://u:p/w@example.org/x"},
		{Git, "file://example.org/x"},
		{Git, "file://relative"},
		{Git, "svn://example.org/x"},
		{Git, "transport::https://example.org"},
		{Hg, "--config=alias.clone=!x"},
		{Hg, "ssh://-oProxyCommand=x/y"},
		{Hg, "git://example.org/x"},
		{Hg, "static-http://example.org/x"},
		{Svn, "svn+ssh://-x@example.org/y"},
		{Svn, "svn+custom://example.org"},
		{Cvs, ":fork:relative"},
		{Cvs, "/srv/$(touch x)"},
		{Cvs, "/srv/`touch`"},
		{Cvs, ":pserver:a;touch@example.org:/x"},
		{Cvs, ":ext:$USER@example.org:/x"},
		{Cvs, "a|b@example.org:/x"},
		{Cvs, "example.org:/x;touch"},
		{Cvs, ":ext;CVS_RSH=x:example.org:/x"},
		{Cvs, "-x@example.org:/x"},
		{Tarball, "ssh://example.org/x.tar"},
		{RawFile, "relative.bin"},
	} {
		access, err := ParseAddress(test.typ, test.in)
		if err == nil {
			t.Errorf("%s %q was accepted as %v", test.typ, test.in, access.URL)
		}
	}
}

func TestParseAddressErrorsTellNoSecret(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"https://me:s3cret/x@example.org/a", "https://me:s3cret@", "gopher://me:s3cret@example.org/",
		"https://me:s3cret@exam%ple/", "me:s3cret@example.org", "https://me:s3cret@example.org:port/",
	} {
		if _, err := ParseAddress(Git, in); err != nil && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%v", err)
		}
	}
}

func TestCheckPath(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"a", "group/tool", "a.b/c_d+e-f", "a/.github", "größe", "a..b"} {
		if err := CheckPath(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{
		"", "/a", "-a", ".a", "a/", "a//b", "a/../b", "..", "a/./b", "a/-b", "a.git", "a.git/b", "a/b.lock", "a\nb", "a\x00", "a\x7f", strings.Repeat("a", 300), "\xff",
	} {
		if CheckPath(bad) == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestParseRefspec(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]Refspec{
		"refs/heads/*":                   {Src: "refs/heads/*", Dst: "refs/heads/*"},
		"+refs/heads/*:refs/heads/up/*":  {Force: true, Src: "refs/heads/*", Dst: "refs/heads/up/*"},
		"master":                         {Src: "master", Dst: "master"},
		"^refs/heads/private-*":          {Negative: true, Src: "refs/heads/private-*", Dst: "refs/heads/private-*"},
		"+refs/heads/wip-*":              {Force: true, Src: "refs/heads/wip-*", Dst: "refs/heads/wip-*"},
		"refs/heads/master:refs/heads/x": {Src: "refs/heads/master", Dst: "refs/heads/x"},
	} {
		got, err := ParseRefspec(in)
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", in, diff)
		}
	}
	for _, bad := range []string{
		"", "+", ":", ":refs/heads/x", "a:", "a:b:c", "^a:b", "a*b*", "refs/heads/*:x", "--force", "a b", "a..b", "a~1", "a^", "HEAD@{1}", "x.lock", "a/.b", "@", "/a",
	} {
		if r, err := ParseRefspec(bad); err == nil {
			t.Errorf("%q was accepted as %+v", bad, r)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, seed := range []string{"https://me:pw@example.org/a.git", "git@example.org:x", ":pserver:a:b@c:/d", "lp:x", "/x", "ext::x", "https://h/x?a;private_token=T&b#c", "http://h?tok%65n=T"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		for _, typ := range Types() {
			a, err := ParseAddress(typ, address)
			if err != nil {
				continue
			}
			if strings.HasPrefix(a.URL, "-") || strings.ContainsAny(a.URL, "\n\r\x00 ") {
				t.Errorf("%q gave %q", address, a.URL)
			}
			if left := tokenLeft(a.URL); left != "" {
				t.Errorf("%q gave %q, in which %q is left", address, a.URL, left)
			}
			again, err := ParseAddress(typ, a.URL)
			if err != nil || again.URL != a.URL || !again.Secret.Empty() {
				t.Errorf("%q gave %q, which gives %q, %v", address, a.URL, again.URL, err)
			}
		}
	})
}

func TestSite(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://Example.com/a/b?c=d": "https://example.com",
		"HTTP://example.com:8080":     "http://example.com:8080",
		"https://example.com?c":       "https://example.com",
		"git@example.com:a/b":         "git@example.com:a/b",
		"/srv/git/a":                  "/srv/git/a",
	} {
		if got := Site(address); got != want {
			t.Errorf("Site(%q): want %q, got %q", address, want, got)
		}
	}
}
