package gitanossh

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lorry-controller/lorry-controller/plugins/internal/plugintest"
	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/sshfake"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/tool"
)

func TestEnsureCreatesWithHeadAndDescription(t *testing.T) {
	t.Parallel()
	g := &sshfake.Gitano{User: "lorry"}
	s := sshfake.Serve(t, g.Handle)
	c := downstream(t, s)
	want := sdk.Want{Path: "delta/foo", Head: "refs/heads/main", Description: "It's \"foo\"; $(rm -rf ~)\nand `more` \\ of it"}
	have, err := c.Ensure(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sdk.Have{Access: sdk.Access{URL: s.URL() + "/delta/foo.git"}, Created: true}, have, ignoreKnownHosts()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	const line = "It's \"foo\"; $(rm -rf ~) and `more` \\ of it"
	if got := g.Config("delta/foo", "project.description"); got != line {
		t.Errorf("description is %q, want %q", got, line)
	}
	if got := g.Config("delta/foo", "project.head"); got != "refs/heads/main" {
		t.Errorf("head is %q", got)
	}
	before := len(s.Commands())
	if have, err = c.Ensure(t.Context(), want); err != nil || have.Created {
		t.Errorf("second call: %+v, %v", have, err)
	}
	if diff := cmp.Diff([]string{"config delta/foo show"}, s.Commands()[before:]); diff != "" {
		t.Errorf("commands for a repository that is as it should be (-want +got):\n%s", diff)
	}
}

func ignoreKnownHosts() cmp.Option { return cmpopts.IgnoreFields(sdk.Access{}, "KnownHosts", "Secret") }

func TestHeadOfAnOldRepositoryFollowsThePush(t *testing.T) {
	t.Parallel()
	g := &sshfake.Gitano{}
	g.Add("delta/foo", "RW", "refs/heads/master", "same")
	s := sshfake.Serve(t, g.Handle)
	c := downstream(t, s)
	want := sdk.Want{Path: "delta/foo", Head: "refs/heads/trunk", Description: "same"}
	if _, err := c.Ensure(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if got := g.Config("delta/foo", "project.head"); got != "refs/heads/master" {
		t.Errorf("head before the push is %q", got)
	}
	for range 2 {
		if err := c.AfterPush(t.Context(), want); err != nil {
			t.Fatal(err)
		}
	}
	if got := g.Config("delta/foo", "project.head"); got != "refs/heads/trunk" {
		t.Errorf("head after the push is %q", got)
	}
	set := 0
	for _, command := range s.Commands() {
		if strings.Contains(command, " set ") {
			set++
		}
	}
	if set != 1 {
		t.Errorf("%d commands set something, want 1: %q", set, s.Commands())
	}
}

func TestRefusalsByRulesAreToldAndNotFatal(t *testing.T) {
	t.Parallel()
	for _, rulesFirst := range []bool{false, true} {
		t.Run(fmt.Sprint("rules first: ", rulesFirst), func(t *testing.T) { refusedByRules(t, rulesFirst) })
	}
}

func refusedByRules(t *testing.T, rulesFirst bool) {
	t.Helper()
	t.Parallel()
	g := &sshfake.Gitano{
		User:         "lorry",
		MayCreate:    func(path string) bool { return !strings.HasPrefix(path, "site/") },
		MayConfigure: func(path string) bool { return !strings.HasPrefix(path, "site/") },
		RulesFirst:   rulesFirst,
	}
	g.Add("site/there", "RW", "refs/heads/master", "theirs")
	g.Add("site/hidden", "", "refs/heads/master", "theirs")
	s := sshfake.Serve(t, g.Handle)
	c := downstream(t, s)

	have, err := c.Ensure(t.Context(), sdk.Want{Path: "site/there", Description: "ours", Visibility: sdk.VisibilityPublic, LFS: true})
	if err != nil {
		t.Fatalf("a refused setting must not end the job: %v", err)
	}
	if diff := cmp.Diff([]string{"visibility", "lfs", "description"}, have.Unsupported); diff != "" {
		t.Errorf("unsupported (-want +got):\n%s", diff)
	}
	err = c.AfterPush(t.Context(), sdk.Want{Path: "site/there", Head: "refs/heads/x"})
	plugintest.WantFact(t, err, sdk.Denied, "does not let us set the head")

	// It is there, but not shown, and may not be created: only a push can tell.
	if have, err = c.Ensure(t.Context(), sdk.Want{Path: "site/hidden"}); err != nil || have.Created || have.URL == "" {
		t.Errorf("a hidden repository: %+v, %v", have, err)
	}

	_, err = c.Ensure(t.Context(), sdk.Want{Path: "site/missing"})
	plugintest.WantFact(t, err, sdk.Denied, "127.0.0.1 can't create the repository: CRIT: Repository creation is not permitted.")
	err = c.AfterPush(t.Context(), sdk.Want{Path: "site/missing", Head: "refs/heads/x"})
	plugintest.WantFact(t, err, sdk.NotFound, "no such repository")
}

func TestLostRaceOfCreationIsSuccess(t *testing.T) {
	t.Parallel()
	g := &sshfake.Gitano{}
	// Between the look and the creation somebody else makes it.
	g.MayCreate = func(path string) bool { return true }
	raced := &racing{Gitano: g}
	s := sshfake.Serve(t, raced.Handle)
	have, err := downstream(t, s).Ensure(t.Context(), sdk.Want{Path: "a/b", Description: "x"})
	if err != nil || have.Created {
		t.Errorf("%+v, %v", have, err)
	}
}

// racing lets somebody else create what is about to be created.
type racing struct{ *sshfake.Gitano }

func (r *racing) Handle(req sshfake.Request) sshfake.Answer {
	if strings.HasPrefix(req.Command, "create ") {
		r.Add(strings.Fields(req.Command)[1], "RW", "refs/heads/master", "")
	}
	return r.Gitano.Handle(req)
}

func TestPathsThatGitanoWouldMisread(t *testing.T) {
	t.Parallel()
	g := &sshfake.Gitano{}
	s := sshfake.Serve(t, g.Handle)
	c := downstream(t, s)
	for _, path := range []string{"", "-x", "a/-x", "--help", "a b", "a;b", "$(x)", "a/../b", "a//b", "/a", "a/", "a.git", "a\nb", "gitano-admin", ".a", strings.Repeat("a/", 2000) + "a"} {
		_, err := c.Ensure(t.Context(), sdk.Want{Path: path})
		plugintest.WantFact(t, err, sdk.Invalid, "")
	}
	_, err := c.Ensure(t.Context(), sdk.Want{Path: "a", Head: "main"})
	plugintest.WantFact(t, err, sdk.Invalid, "default branch")
	if got := s.Commands(); len(got) != 0 {
		t.Errorf("commands were sent: %q", got)
	}
}

func TestGitPushesToWhatWasEnsured(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("git"); err != nil {
		tool.Missing(t, "git is not installed", "all")
	}
	dir := t.TempDir()
	g := &sshfake.Gitano{Dir: filepath.Join(dir, "served")}
	s := sshfake.Serve(t, g.Handle)
	have, err := downstream(t, s).Ensure(t.Context(), sdk.Want{Path: "a/b"})
	if err != nil {
		t.Fatal(err)
	}
	known := filepath.Join(dir, "known_hosts")
	if err := os.WriteFile(known, []byte(have.KnownHosts), 0o600); err != nil {
		t.Fatal(err)
	}
	git := func(args ...string) string {
		cmd := exec.Command("git", args...)
		cmd.Env = []string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GIT_CONFIG_NOSYSTEM=1",
			"GIT_SSH_COMMAND=ssh -F /dev/null -o BatchMode=yes -o IdentitiesOnly=yes -o UserKnownHostsFile=" + known + " -i " + s.IdentityFile(),
			"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=C", "GIT_COMMITTER_EMAIL=c@example.com",
		}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	git("init", "-q", "--bare", filepath.Join(g.Dir, "a/b.git"))
	work := filepath.Join(dir, "work")
	git("init", "-q", "-b", "main", work)
	git("-C", work, "commit", "-q", "--allow-empty", "-m", "one")
	git("-C", work, "push", "-q", "--", have.URL, "refs/heads/*:refs/heads/*")
	if out := git("ls-remote", "--", have.URL); !strings.Contains(out, "refs/heads/main") {
		t.Errorf("refs are %q", out)
	}
}
