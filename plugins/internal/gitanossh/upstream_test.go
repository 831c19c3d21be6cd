package gitanossh

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/plugins/internal/plugintest"
	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/sshfake"
	"github.com/lorry-controller/lorry-controller/sdk/host"
)

func TestListingHasWhatMayBeRead(t *testing.T) {
	t.Parallel()
	g := &sshfake.Gitano{Noise: "[gitano] Lorry is here\nReading rules…\nR\n"}
	for path, access := range map[string]string{
		"gitano-admin": "RW", "delta/readable": "R", "delta/both": "RW", "delta/writeonly": "W", "delta/hidden": "", "with.git/in": "R", "-rf": "R",
	} {
		g.Add(path, access, "refs/heads/master", "")
	}
	s := sshfake.Serve(t, g.Handle)
	got, err := listing(t, upstream(t, s))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"delta/both " + s.URL() + "/delta/both.git", "delta/readable " + s.URL() + "/delta/readable.git"}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"ls"}, s.Commands()); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

func TestListingWithoutOneGoodLineIsNoEmptyHost(t *testing.T) {
	t.Parallel()
	s := sshfake.Serve(t, (&sshfake.Gitano{Noise: "Welcome to the maintenance page\n"}).Handle)
	_, err := listing(t, upstream(t, s))
	plugintest.WantFact(t, err, sdk.Internal, "none of them is that of a repository")
}

func TestRepoTellsHeadAndDescription(t *testing.T) {
	t.Parallel()
	g := &sshfake.Gitano{}
	g.Add("delta/foo", "R", "refs/heads/trunk", "Foo: the library")
	g.Add("delta/secret", "W", "refs/heads/trunk", "not shown")
	s := sshfake.Serve(t, g.Handle)
	c := upstream(t, s)

	repo, access, err := c.Repo(t.Context(), "delta/foo")
	if err != nil {
		t.Fatal(err)
	}
	url := s.URL() + "/delta/foo.git"
	if diff := cmp.Diff(sdk.Repo{Path: "delta/foo", CloneURL: url, Head: "refs/heads/trunk", Description: "Foo: the library"}, repo); diff != "" {
		t.Errorf("repository (-want +got):\n%s", diff)
	}
	if access.URL != url || !strings.Contains(access.KnownHosts, "ecdsa-sha2-nistp256") {
		t.Errorf("access is %+v", access)
	}

	if repo, _, err = c.Repo(t.Context(), "delta/secret"); err != nil || repo.Head != "" || repo.Description != "" {
		t.Errorf("a configuration that is not shown: %+v, %v", repo, err)
	}
	_, _, err = c.Repo(t.Context(), "delta/none")
	plugintest.WantFact(t, err, sdk.NotFound, "does not exist")
	_, _, err = c.Repo(t.Context(), "gitano-admin")
	plugintest.WantFact(t, err, sdk.NotFound, "server's own")
	for _, path := range []string{"a;b", "a b", "-x", "$(x)", "a/../b"} {
		_, _, err = c.Repo(t.Context(), path)
		plugintest.WantFact(t, err, sdk.Invalid, "the path")
	}
}

func TestSettingsThatCannotWork(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]Settings{
		"an option as host":       {Host: "-oProxyCommand=x", Protocol: "ssh", SSHURL: "ssh://git@localhost"},
		"an address as host":      {Host: "https://git.example.com", Protocol: "ssh", SSHURL: "ssh://git@localhost"},
		"an ssh-url for http":     {SSHURL: "https://git.example.com"},
		"a password in ssh-url":   {SSHURL: "ssh://git:word@git.example.com"},
		"a relative key":          {SSHURL: "ssh://git@localhost", SSHIdentityFile: "id"},
		"a password for nobody":   {SSHURL: "ssh://git@localhost", Password: sdk.NewSecret("x")},
		"a command-url for files": {SSHURL: "ssh://git@localhost", CommandURL: (&Settings{Protocol: "file", Host: "x"}).webURL("")},
	} {
		if diags := s.Validate(); len(diags) == 0 || diags[0].Severity != sdk.SeverityError {
			t.Errorf("%s was taken: %+v", name, diags)
		}
	}
	good := Settings{Host: "git.example.com:2222", Protocol: "ssh", SSHURL: "ssh://git@localhost"}
	if diff := cmp.Diff([]sdk.Diagnostic(nil), good.Validate()); diff != "" {
		t.Errorf("good settings (-want +got):\n%s", diff)
	}
}

func TestCloneURLFollowsTheProtocol(t *testing.T) {
	t.Parallel()
	g := &sshfake.Gitano{}
	g.Add("a/b", "R", "refs/heads/master", "")
	for protocol, want := range map[string]string{
		"https": "https://git.example.com/git/a/b.git", "http": "http://git.example.com/git/a/b.git", "ssh": "ssh://git@git.example.com/a/b.git",
	} {
		a, err := Open(t.Context(), sdk.Env{Role: sdk.RoleUpstream}, Settings{Host: "git.example.com", Protocol: protocol, SSHUser: "git", Username: "u", Password: sdk.NewSecret("p4ssw0rd")})
		if err != nil {
			t.Fatal(err)
		}
		access, err := a.access("a/b")
		if err != nil {
			t.Fatal(err)
		}
		if access.URL != want {
			t.Errorf("%s: URL is %q, want %q", protocol, access.URL, want)
		}
		if hasSecret := !access.Secret.Empty(); hasSecret != (protocol != "ssh") {
			t.Errorf("%s: has a secret: %v", protocol, hasSecret)
		}
	}
}

func TestUnreachableHostIsUnavailable(t *testing.T) {
	t.Parallel()
	s := sshfake.Serve(t, (&sshfake.Gitano{}).Handle)
	c := configured(t, host.Settings{Role: sdk.RoleUpstream, Values: map[string]any{
		"host": "127.0.0.1", "ssh-port": float64(s.Port()), "ssh-user": s.User(), "ssh-known-hosts": "/dev/null", "ssh-identity-file": s.IdentityFile(),
	}})
	_, err := listing(t, c)
	plugintest.WantFact(t, err, sdk.Unavailable, "its ssh host key is not known")
}

func TestCheckAsksWhoWeAre(t *testing.T) {
	t.Parallel()
	s := sshfake.Serve(t, (&sshfake.Gitano{User: "lorry"}).Handle)
	report, err := upstream(t, s).Check(t.Context())
	if diff := cmp.Diff(sdk.Report{ServerVersion: "Gitano"}, report); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if diff := cmp.Diff([]string{"whoami"}, s.Commands()); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

func FuzzEntry(f *testing.F) {
	for _, seed := range []string{"RW gitano-admin", "R  a/b", "W x", "[gitano] x", "", "R", "R a.git extra", "\x00R a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		e, ok := parseEntry(line)
		if ok && e.path != "" && strings.ContainsAny(e.path, " \n\t") {
			t.Fatalf("%q gave the path %q", line, e.path)
		}
		if checkPath(e.path) == nil && (strings.HasPrefix(e.path, "-") || strings.Contains(e.path, "..") || strings.HasPrefix(e.path, "/")) {
			t.Fatalf("the path %q was taken", e.path)
		}
	})
}

func FuzzConfig(f *testing.F) {
	f.Add("project.head: refs/heads/master\nproject.description: a: b\n")
	f.Add("project.head: master\r\n")
	f.Fuzz(func(t *testing.T, out string) {
		c := parseConfig(out)
		if c.head != "" && !validHead(c.head) {
			t.Fatalf("head %q", c.head)
		}
		if strings.Contains(c.description, "\n") {
			t.Fatalf("description %q", c.description)
		}
	})
}
