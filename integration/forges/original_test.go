package forges

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/integration/gittest"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/gerritfake"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/sshfake"
)

// downstreamOf is a Downstream Host with the keys that the original's
// webapp.conf has for it, and no other.
type downstreamOf struct {
	keys []string
	// dir has the mirrors as DIR/PATH.git, or refs reads one.
	dir  string
	refs func(t *testing.T, path string) string
	// also looks at what else is to be there of the mirror.
	also func(t *testing.T, path string)
}

// TestKeysOfTheOriginal: an Upstream Host is listed and mirrored to each kind of
// Downstream Host, by the keys that the original's webapp.conf has for it.
func TestKeysOfTheOriginal(t *testing.T) { //nolint:paralleltest // it changes PATH
	bin := t.TempDir()
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	up := t.TempDir()
	seed := gittest.Seed(t, filepath.Join(up, "one.git"))
	if err := os.WriteFile(filepath.Join(up, "one.git", "description"), []byte("About one\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for kind, open := range map[string]func(*testing.T, string) downstreamOf{
		"gitlab": originalGitLab, "gitea": originalGitea, "gerrit": originalGerrit,
		"gitano": originalGitano, "trove": originalGitano, "local": originalLocal,
	} {
		t.Run(kind, func(t *testing.T) {
			down := open(t, bin)
			s := start(t, append([]string{"downstream-host-type = " + kind}, down.keys...), []map[string]any{{
				"type": "local", "host": "tree", "path": up, "prefixmap": map[string]string{"": "mirrors"}, "ls-interval": "1d", "interval": "1d",
			}}, nil)
			const path = "mirrors/one"
			await(t, "the mirror", func() bool { return s.lorries(t)[path].LastRun > 0 })
			if l := s.lorries(t)[path]; l.LastExit != "0" {
				t.Fatalf("exit %s: %+v", l.LastExit, l.Failure)
			}
			var got string
			if down.dir != "" {
				repo := gittest.OpenRepo(t, filepath.Join(down.dir, path+".git"))
				got = cmp.Diff(seed.Refs("refs/heads/", "refs/tags/"), repo.Refs("refs/heads/", "refs/tags/"))
			} else if refs := down.refs(t, path); !strings.Contains(refs, seed.Refs()["refs/heads/main"]+"\trefs/heads/main") {
				got = refs
			}
			if got != "" {
				t.Errorf("refs (-want +got):\n%s", got)
			}
			if down.also != nil {
				down.also(t, path)
			}
		})
	}
}

func originalGitLab(t *testing.T, bin string) downstreamOf {
	fake, f := fakeGitLab(t)
	return ofForge(t, bin, f, fake, "gitlab-private-token = "+canary)
}

func originalGitea(t *testing.T, bin string) downstreamOf {
	fake, f := fakeGitea(t)
	return ofForge(t, bin, f, fake, "gitea-access-token = "+canary)
}

// reachable is a fake forge to which git comes by ssh, as the original had it.
type reachable interface {
	Dir(path string) string
	Arrived(path string)
	Intercept(f func(http.ResponseWriter, *http.Request) bool)
}

func ofForge(t *testing.T, bin string, f forge, fake reachable, token string) downstreamOf {
	t.Helper()
	needSSHD(t)
	s := sshfake.Serve(t, func(r sshfake.Request) sshfake.Answer {
		words, err := sshfake.Split(r.Command)
		if err != nil || len(words) != 2 || !strings.HasPrefix(words[0], "git-") {
			return sshfake.Answer{Stderr: "unknown command\n", Exit: 1}
		}
		dir := fake.Dir(strings.TrimSuffix(strings.Trim(words[1], "/"), ".git"))
		return sshfake.Answer{Exec: []string{"git", strings.TrimPrefix(words[0], "git-"), dir}}
	})
	fake.Intercept(func(http.ResponseWriter, *http.Request) bool {
		fake.Arrived("mirrors/one") // by ssh, which the fake does not see
		return false
	})
	account(t, bin, s)
	return downstreamOf{
		keys: []string{"downstream-ssh-url = " + s.URL(), "downstream-http-url = " + f.address, "downstream-visibility = public", token}, refs: f.refs,
		also: func(t *testing.T, path string) {
			t.Helper()
			got, there := f.facts(t, path)
			if diff := cmp.Diff(facts{Default: "main", Description: "tree: About one", Visibility: "public"}, got); !there || diff != "" {
				t.Errorf("there: %v (-want +got):\n%s", there, diff)
			}
		},
	}
}

func originalLocal(t *testing.T, _ string) downstreamOf {
	dir := t.TempDir()
	return downstreamOf{keys: []string{"local-base-directory = " + dir}, dir: dir}
}

// account has ssh use the server's key, as the account of the controller would.
func account(t *testing.T, bin string, s *sshfake.Server) {
	t.Helper()
	ssh, err := exec.LookPath("ssh")
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Dir(ssh) == bin {
		ssh = "/usr/bin/ssh"
	}
	script := fmt.Sprintf("#!/bin/sh\nexec %s -oIdentitiesOnly=yes -oIdentityFile=%s -oUserKnownHostsFile=%s \"$@\"\n", ssh, s.IdentityFile(), s.KnownHosts())
	if err := os.WriteFile(filepath.Join(bin, "ssh"), []byte(script), 0o700); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
}

// needSSHD skips a test without OpenSSH's server.
func needSSHD(t *testing.T) {
	t.Helper()
	if sshfake.Program() == "" {
		gittest.Require(t, "sshd")
	}
}

func originalGitano(t *testing.T, bin string) downstreamOf {
	needSSHD(t)
	dir := t.TempDir()
	g := &sshfake.Gitano{User: "lorry", Dir: dir}
	s := sshfake.Serve(t, func(r sshfake.Request) sshfake.Answer {
		answer := g.Handle(r)
		if path, ok := strings.CutPrefix(r.Command, "create "); ok && answer.Exit == 0 {
			bare(t, filepath.Join(dir, path+".git"))
		}
		return answer
	})
	account(t, bin, s)
	return downstreamOf{keys: []string{"downstream-ssh-url = " + s.URL()}, dir: dir, also: func(t *testing.T, path string) {
		t.Helper()
		for key, want := range map[string]string{"project.head": "refs/heads/main", "project.description": "tree: About one"} {
			if got := g.Config(path, key); got != want {
				t.Errorf("%s is %q, want %q", key, got, want)
			}
		}
	}}
}

func originalGerrit(t *testing.T, bin string) downstreamOf {
	needSSHD(t)
	dir := t.TempDir()
	g := gerritfake.New()
	g.Put("the-parent", gerritfake.Project{PermissionsOnly: true})
	s := sshfake.Serve(t, func(r sshfake.Request) sshfake.Answer {
		words, err := sshfake.Split(r.Command)
		if err == nil && len(words) == 2 && strings.HasPrefix(words[0], "git-") {
			return sshfake.Answer{Exec: []string{"git", strings.TrimPrefix(words[0], "git-"), filepath.Join(dir, words[1]+".git")}}
		}
		if strings.HasPrefix(r.Command, "gerrit set-head ") { // what was pushed has arrived
			p, _ := g.Get("mirrors/one")
			p.Branches = gittest.OpenRepo(t, filepath.Join(dir, "mirrors/one.git")).Refs("refs/heads/")
			g.Put("mirrors/one", p)
		}
		answer := g.Handle(r)
		if strings.HasPrefix(r.Command, "gerrit create-project ") && answer.Exit == 0 {
			repo := bare(t, filepath.Join(dir, "mirrors/one.git"))
			repo.Git("config", "receive.advertisePushOptions", "true")
		}
		return answer
	})
	account(t, bin, s)
	return downstreamOf{
		keys: []string{"downstream-ssh-url = " + s.URL(), "gerrit-parent-project = the-parent"}, dir: dir,
		also: func(t *testing.T, path string) {
			t.Helper()
			p, _ := g.Get(path)
			want := gerritfake.Project{Description: "tree: About one", Parent: "the-parent", Head: "refs/heads/main"}
			p.Branches = nil
			if diff := cmp.Diff(want, p); diff != "" {
				t.Errorf("project (-want +got):\n%s", diff)
			}
		},
	}
}

func bare(t *testing.T, dir string) *gittest.Repo {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Error(err)
	}
	return gittest.NewRepo(t, dir)
}
