package confgit

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
)

func starterOptions(t *testing.T, git *childproc.Git) StarterOptions {
	t.Helper()
	data := t.TempDir()
	return StarterOptions{
		Git: git, Dir: filepath.Join(data, "confgit.git"), Sample: filepath.Join(data, "sample.git"),
		Now: func() time.Time { return time.Unix(1_800_000_000, 0) },
	}
}

// readStarter reads the CONFGIT as the daemon does.
func readStarter(t *testing.T, o StarterOptions) *Config {
	t.Helper()
	s := NewSource(Options{Git: o.Git, URL: o.Dir, Mirror: filepath.Join(t.TempDir(), "m"), Rules: Rules{FileRoots: []string{"/"}}})
	commit, err := s.Update(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Read(t.Context(), commit)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestStarterMirrorsTheCheckout(t *testing.T) {
	t.Parallel()
	git := needGit(t)
	o := starterOptions(t, git)
	o.Checkout = filepath.Join(t.TempDir(), "my+project", "sub")
	commitFiles(t, filepath.Dir(o.Checkout), "main", map[string]string{"sub/file": "x"})
	made, err := MakeStarter(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Starter{FileRoots: []string{filepath.Dir(o.Checkout)}, Added: []string{"my-project"}}, made); diff != "" {
		t.Error(diff)
	}
	c := readStarter(t, o)
	if diff := cmp.Diff([]string{"my-project"}, paths(c)); diff != "" || len(c.Problems) > 0 {
		t.Error(diff, c.Problems)
	}
	head := runGit(t, o.Dir, "rev-parse", "HEAD")
	if made, err = MakeStarter(t.Context(), o); err != nil || len(made.Added) != 0 || len(made.FileRoots) != 1 {
		t.Errorf("again: got %+v, %v", made, err)
	}
	if again := runGit(t, o.Dir, "rev-parse", "HEAD"); again != head {
		t.Error("nothing new, but a new commit")
	}
}

func TestStarterMakesASample(t *testing.T) {
	t.Parallel()
	git := needGit(t)
	whole := filepath.Join(t.TempDir(), "whole")
	commitFiles(t, whole, "main", map[string]string{"a": "1"})
	commitFiles(t, whole, "main", map[string]string{"a": "2"})
	shallow := filepath.Join(t.TempDir(), "shallow")
	runGit(t, whole, "clone", "-q", "--depth=1", "file://"+whole, shallow)
	unborn := filepath.Join(t.TempDir(), "unborn")
	runGit(t, whole, "init", "-q", unborn)
	broken := filepath.Join(t.TempDir(), "broken")
	runGit(t, whole, "clone", "-q", "--no-hardlinks", whole, broken)
	blob := runGit(t, broken, "rev-parse", "HEAD~1:a")
	if err := os.Remove(filepath.Join(broken, ".git", "objects", blob[:2], blob[2:])); err != nil {
		t.Fatal(err)
	}
	spaced := filepath.Join(t.TempDir(), "a b")
	runGit(t, whole, "clone", "-q", whole, spaced)
	for name, dir := range map[string]string{"a space in its path": spaced, "no repository": t.TempDir(), "shallow": shallow, "no commit": unborn, "an object is missing": broken} {
		o := starterOptions(t, git)
		o.Checkout = dir
		made, err := MakeStarter(t.Context(), o)
		if err != nil || len(made.Added) != 1 || made.Added[0] != "sample" {
			t.Errorf("%s: got %+v, %v", name, made, err)
			continue
		}
		if got := runGit(t, o.Sample, "for-each-ref", "--format=%(refname)"); got != "refs/heads/main\nrefs/heads/topic\nrefs/tags/v1.0" {
			t.Errorf("%s: got %q", name, got)
		}
		runGit(t, o.Sample, "fsck", "--strict")
	}
}

func TestStarterTakesMirrorsAndDirectories(t *testing.T) {
	t.Parallel()
	git := needGit(t)
	o := starterOptions(t, git)
	dir := filepath.Join(t.TempDir(), "repos")
	local := filepath.Join(dir, "thing.git")
	runGit(t, t.TempDir(), "init", "-q", "--bare", local)
	o.Mirrors = []string{"https://git.example.com/group/tool.git", "git@git.example.org:group/tool.git", local, "file://" + dir + "/x.git"}
	o.UpstreamDirs = []string{dir}
	made, err := MakeStarter(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"group/tool", "group/tool-2", "thing", "x", "repos"}, made.Added); diff != "" {
		t.Error(diff)
	}
	c := readStarter(t, o)
	if diff := cmp.Diff([]string{"group/tool", "group/tool-2", "thing", "x"}, paths(c)); diff != "" {
		t.Error(diff)
	}
	want := []core.Host{{
		Name: "repos", Type: "local", Prefixes: []core.PrefixRule{{From: "", To: "repos"}},
		LsInterval: 5 * time.Minute, Interval: 10 * time.Minute, Timeout: time.Hour, Settings: map[string]any{"path": dir},
	}}
	if diff := cmp.Diff(want, c.Hosts); diff != "" || len(c.Problems) > 0 {
		t.Error(diff, c.Problems)
	}
	// People go on editing the file: a section that was added looks like the first.
	text := runGit(t, o.Dir, "show", "HEAD:"+ConfFile)
	if want := "    },\n    {\n        \"host\": \"repos\",\n"; !strings.Contains(text, want) || !strings.HasSuffix(strings.TrimSpace(text), "\n    }\n]") {
		t.Errorf("want %q in it, got\n%s", want, text)
	}
}

// clonedStarter makes a starter with one mirror, and a clone in which the
// operator edits it.
func clonedStarter(t *testing.T) (o StarterOptions, clone string) {
	t.Helper()
	o = starterOptions(t, needGit(t))
	o.Mirrors = []string{"https://git.example.com/a"}
	if _, err := MakeStarter(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	clone = filepath.Join(t.TempDir(), "clone")
	runGit(t, t.TempDir(), "clone", "-q", o.Dir, clone)
	return o, clone
}

// What the operator changed stays, and what is new is added to it.
func TestStarterKeepsEdits(t *testing.T) {
	t.Parallel()
	o, clone := clonedStarter(t)
	edited := "[\n  {\"type\": \"lorries\", \"prefix\": \"own\", \"globs\": [\"own/*.lorry\"],\n     \"interval\": \"3h\"}\n]\n"
	commitFiles(t, clone, "main", map[string]string{
		ConfFile: edited, "own/a.lorry": `{"b": {"type": "git", "url": "https://git.example.com/a"}}`, "README.md": "mine",
	})
	runGit(t, clone, "push", "-q", "origin", "HEAD:main")

	o.Mirrors = []string{"https://git.example.com/a", "https://git.example.com/c"}
	o.UpstreamDirs = []string{filepath.Dir(clone)}
	made, err := MakeStarter(t.Context(), o)
	if err != nil || len(made.Added) != 2 || made.Added[0] != "c" {
		t.Fatalf("got %+v, %v", made, err)
	}
	c := readStarter(t, o)
	// The first mirror is there under a name of the operator's own; the files
	// of mirrors/ are named again, for the new one needs it.
	if diff := cmp.Diff([]string{"a", "c", "own/b"}, paths(c)); diff != "" || len(c.Hosts) != 1 {
		t.Error(diff, c.Hosts)
	}
	conf := runGit(t, o.Dir, "show", "HEAD:"+ConfFile)
	if !strings.HasPrefix(conf, strings.TrimSuffix(edited, "\n]\n")+",\n") || runGit(t, o.Dir, "show", "HEAD:README.md") != "mine" {
		t.Errorf("an edit was lost:\n%s", conf)
	}
	if n := runGit(t, o.Dir, "rev-list", "--count", "HEAD"); n != "3" {
		t.Errorf("got %s commits, want 3", n)
	}
	if made, err = MakeStarter(t.Context(), o); err != nil || len(made.Added) > 0 {
		t.Errorf("again: got %+v, %v", made, err)
	}
}

func TestStarterRefuses(t *testing.T) {
	t.Parallel()
	git := needGit(t)
	busy := t.TempDir()
	writeFiles(t, busy, map[string]string{"mine": "x"})
	for _, tt := range []struct {
		name   string
		change func(o *StarterOptions)
		want   string
	}{
		{"a password", func(o *StarterOptions) { o.Mirrors = []string{"https://u:hidden@example.com/a"} }, "must not have a password or token"},
		{"a helper", func(o *StarterOptions) { o.Mirrors = []string{"ext::sh -c x"} }, "--mirror: the url holds a space"},
		{"nothing there", func(o *StarterOptions) { o.Mirrors = []string{"no/such/path"} }, "--mirror: the url is neither a URL"},
		{"no directory", func(o *StarterOptions) { o.UpstreamDirs = []string{"/no/such"} }, `--upstream-dir "/no/such": there is no such directory`},
		{"something else", func(o *StarterOptions) { o.Dir = busy }, "there is something else in that directory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := starterOptions(t, git)
			tt.change(&o)
			if _, err := MakeStarter(t.Context(), o); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hidden") {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestStarterLeavesABrokenFileAlone(t *testing.T) {
	t.Parallel()
	o, clone := clonedStarter(t)
	commitFiles(t, clone, "main", map[string]string{ConfFile: "[\n{]\n"})
	runGit(t, clone, "push", "-q", "origin", "HEAD:main")
	o.Mirrors = []string{"https://git.example.com/b"}
	if _, err := MakeStarter(t.Context(), o); err == nil || !strings.Contains(err.Error(), "lorry-controller.conf:2") {
		t.Errorf("got %v", err)
	}
}
