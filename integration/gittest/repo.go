package gittest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/sdk/forgetest/tool"
)

// Repo is a bare repository.
type Repo struct {
	Dir string
	t   testing.TB
	n   int // makes each commit another one
}

// NewRepo makes an empty bare repository whose HEAD is refs/heads/main.
func NewRepo(t testing.TB, dir string) *Repo {
	t.Helper()
	Require(t, "git")
	r := &Repo{Dir: dir, t: t}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	r.run(nil, "init", "-q", "--bare", "--template=", "-b", "main", dir)
	return r
}

// OpenRepo gives a repository that is there already.
func OpenRepo(t testing.TB, dir string) *Repo { return &Repo{Dir: dir, t: t} }

// Seed makes a repository with two commits on main, a branch "next" and the
// tags "v1" (annotated) and "light".
func Seed(t testing.TB, dir string) *Repo {
	t.Helper()
	r := NewRepo(t, dir)
	r.Commit("refs/heads/main", "first")
	r.Git("tag", "-a", "-m", "one", "v1", "refs/heads/main")
	r.Commit("refs/heads/main", "second")
	r.Git("update-ref", "refs/tags/light", "refs/heads/main")
	r.Git("update-ref", "refs/heads/next", "refs/heads/main")
	r.Commit("refs/heads/next", "third")
	return r
}

// Env is the environment in which tests run git: nothing of the user's.
func Env() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=Author", "GIT_AUTHOR_EMAIL=author@example.com", "GIT_AUTHOR_DATE=1700000000 +0000",
		"GIT_COMMITTER_NAME=Committer", "GIT_COMMITTER_EMAIL=committer@example.com", "GIT_COMMITTER_DATE=1700000000 +0000",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*",
	}
}

// Git runs git in the repository and gives its output; a failure ends the test.
func (r *Repo) Git(args ...string) string {
	r.t.Helper()
	return r.run(nil, append([]string{"--git-dir=" + r.Dir}, args...)...)
}

// Stdin is Git with a text on standard input.
func (r *Repo) Stdin(text string, args ...string) string {
	r.t.Helper()
	return r.run([]byte(text), append([]string{"--git-dir=" + r.Dir}, args...)...)
}

func (r *Repo) run(stdin []byte, args ...string) string {
	r.t.Helper()
	out, err := r.try(stdin, args...)
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// Try runs git in the repository and gives its output and error.
func (r *Repo) Try(args ...string) (string, error) {
	return r.try(nil, append([]string{"--git-dir=" + r.Dir}, args...)...)
}

func (r *Repo) try(stdin []byte, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Env, cmd.Stdin = Env(), bytes.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return strings.TrimRight(string(out), "\n"), err
}

// Commit adds a commit to ref, a new one if there is none, and gives its name.
func (r *Repo) Commit(ref, message string) string {
	r.t.Helper()
	_, err := r.Try("rev-parse", "-q", "--verify", ref+"^{commit}")
	r.fastImport(r.commit(ref, message, err == nil))
	return r.Git("rev-parse", ref)
}

// CommitFile adds a commit with one more file to ref, which exists.
func (r *Repo) CommitFile(ref, path string, content []byte) string {
	r.t.Helper()
	r.n++
	var b bytes.Buffer
	fmt.Fprintf(&b, "commit %s\ncommitter C <c@example.com> %d +0000\ndata 1\nx\nfrom %s^0\nM 644 inline %s\ndata %d\n", ref, 1700000000+r.n, ref, path, len(content))
	b.Write(content)
	b.WriteByte('\n')
	r.fastImport(b.String())
	return r.Git("rev-parse", ref)
}

// Rewrite replaces ref by one new commit without parents.
func (r *Repo) Rewrite(ref, message string) string {
	r.t.Helper()
	r.Git("update-ref", "-d", ref)
	return r.Commit(ref, message)
}

// Branches adds a commit to each of n branches "b/0001" … in one go.
func (r *Repo) Branches(n int, message string) {
	r.t.Helper()
	var b strings.Builder
	have := r.Refs()
	for i := range n {
		ref := fmt.Sprintf("refs/heads/b/%04d", i)
		b.WriteString(r.commit(ref, message, have[ref] != ""))
	}
	r.fastImport(b.String())
}

func (r *Repo) commit(ref, message string, parent bool) string {
	r.n++
	var b strings.Builder
	fmt.Fprintf(&b, "commit %s\ncommitter C <c@example.com> %d +0000\ndata %d\n%s\n", ref, 1700000000+r.n, len(message), message)
	if parent {
		fmt.Fprintf(&b, "from %s^0\n", ref)
	}
	content := fmt.Sprintf("%s %s %d\n", ref, message, r.n)
	fmt.Fprintf(&b, "M 644 inline file\ndata %d\n%s\n", len(content), content)
	return b.String()
}

func (r *Repo) fastImport(stream string) {
	r.t.Helper()
	r.run([]byte(stream), "--git-dir="+r.Dir, "fast-import", "--quiet", "--force")
}

// Refs gives all refs with their objects.
func (r *Repo) Refs(patterns ...string) map[string]string {
	r.t.Helper()
	refs := make(map[string]string)
	args := append([]string{"for-each-ref", "--format=%(objectname) %(refname)"}, patterns...)
	for line := range strings.SplitSeq(r.Git(args...), "\n") {
		if object, ref, ok := strings.Cut(line, " "); ok {
			refs[ref] = object
		}
	}
	return refs
}

// Mirrored gives the branches and tags.
func (r *Repo) Mirrored() map[string]string {
	r.t.Helper()
	return r.Refs("refs/heads", "refs/tags")
}

// Fsck fails the test if the repository is broken.
func (r *Repo) Fsck() {
	r.t.Helper()
	if out, err := r.Try("fsck", "--full", "--no-dangling"); err != nil {
		r.t.Errorf("git fsck of %s: %v\n%s", r.Dir, err, out)
	}
}

// Require skips the test when a program is missing, or fails it when
// LORRY_TEST_REQUIRE names the program or is "all".
func Require(t testing.TB, program string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		tool.Missing(t, program+" is not installed", "all", program)
	}
}
