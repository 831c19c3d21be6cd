package core_test

import (
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/core"
)

func TestRepositoryNameIsTheSameForAllSpellings(t *testing.T) {
	t.Parallel()
	const want = "git.example.com/group/sub/project"
	for _, address := range []string{
		"https://git.example.com/group/sub/project",
		"https://git.example.com/group/sub/project.git",
		"https://git.example.com/group/sub/project.git/",
		"https://user@GIT.example.com:8443/group/sub/project.git",
		"http://git.example.com./group//sub/project/",
		"ssh://git@git.example.com:2222/group/sub/project.git",
		"git://git.example.com/group/sub/project",
		"git@git.example.com:group/sub/project.git",
		"git.example.com:/group/sub/project",
		"git@Git.Example.Com:Group/Sub/Project.git",
		"https://git.example.com/group/sub/project?x=y#z",
	} {
		if got := core.RepositoryName(address); got != want {
			t.Errorf("RepositoryName(%q) = %q, want %q", address, got, want)
		}
	}
	for address, want := range map[string]string{
		"git@[2001:db8::1]:a/b.git": "2001:db8::1/a/b", "ssh://[2001:db8::1]:22/a/b": "2001:db8::1/a/b",
		"/srv/git/a.git": "", "file:///srv/git/a.git": "", "": "", "https://": "", "https://git.example.com/": "", "git@host:": "",
		"https://a b/c": "", "https://git.example.com/other": "git.example.com/other",
	} {
		if got := core.RepositoryName(address); got != want {
			t.Errorf("RepositoryName(%q) = %q, want %q", address, got, want)
		}
	}
}

func FuzzRepositoryName(f *testing.F) {
	f.Add("git@git.example.com:group/project.git")
	f.Add("https://user:pw@git.example.com:1/x//y.git/")
	f.Fuzz(func(t *testing.T, address string) {
		name := core.RepositoryName(address)
		if name == "" {
			return
		}
		host, path, ok := strings.Cut(name, "/")
		if !ok || host == "" || path == "" || strings.HasSuffix(path, "/") {
			t.Errorf("RepositoryName(%q) = %q, which has no host or no path", address, name)
		}
		if again := core.RepositoryPath(path); again != path && !strings.HasSuffix(path, ".git") {
			t.Errorf("path %q of %q is not in its short form", path, address)
		}
	})
}
