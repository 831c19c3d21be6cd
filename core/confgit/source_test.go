package confgit

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
)

const oneSection = `[{"type": "lorries", "interval": "1h", "prefix": "p", "globs": ["*.lorry"]}]`

const fooLorry = `{"foo": {"type": "git", "url": "https://example.com/foo"}}`

func paths(c *Config) []string {
	var all []string
	for _, l := range c.Lorries {
		all = append(all, l.Path)
	}
	return all
}

// links makes a link within a directory, and some that must not be followed.
func links(t *testing.T, dir string) {
	t.Helper()
	writeFiles(t, dir, map[string]string{"sub/inside.json": strings.ReplaceAll(fooLorry, "foo", "inside")})
	for name, target := range map[string]string{
		"inside.lorry": "sub/inside.json", "out.lorry": "/etc/passwd", "up.lorry": "../../../../etc/passwd", "nowhere.lorry": "none", "loop.lorry": "loop.lorry",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func linkProblems() []string {
	var lines []string
	for _, name := range []string{"loop", "nowhere", "out", "up"} {
		lines = append(lines, "error "+name+".lorry: can't be read, or is a link that leads out of CONFGIT")
	}
	return lines
}

func TestSourceFollowsARepository(t *testing.T) {
	t.Parallel()
	git, work := needGit(t), filepath.Join(t.TempDir(), "work")
	first := commitFiles(t, work, "trunk", map[string]string{ConfFile: oneSection, "foo.lorry": fooLorry})
	mirror := filepath.Join(t.TempDir(), "data", "confgit")
	s := NewSource(Options{Git: git, URL: work, Mirror: mirror})

	commit, err := s.Update(t.Context())
	if err != nil || commit != first {
		t.Fatalf("got %q, %v; want %q", commit, err, first)
	}
	c, err := s.Read(t.Context(), commit)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"p/foo"}, paths(c)); diff != "" {
		t.Error(diff)
	}

	links(t, work)
	second := commitFiles(t, work, "trunk", map[string]string{"sub/../bar.lorry": strings.ReplaceAll(fooLorry, "foo", "bar")})
	if commit, err = s.Update(t.Context()); err != nil || commit != second {
		t.Fatalf("got %q, %v; want %q", commit, err, second)
	}
	if c, err = s.Read(t.Context(), commit); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"p/bar", "p/foo", "p/inside"}, paths(c)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(linkProblems(), describeAll(c.Problems)); diff != "" {
		t.Error(diff)
	}
	if c, err = s.Read(t.Context(), first); err != nil || len(c.Lorries) != 1 {
		t.Errorf("the older commit: got %+v, %v", c, err)
	}

	// A history that was rewritten, and a fetch that was killed.
	runGit(t, work, "reset", "-q", "--hard", first)
	third := commitFiles(t, work, "trunk", map[string]string{"baz.lorry": strings.ReplaceAll(fooLorry, "foo", "baz")})
	writeFiles(t, mirror, map[string]string{"refs/heads/trunk.lock": ""})
	if commit, err = s.Update(t.Context()); err != nil || commit != third {
		t.Fatalf("got %q, %v; want %q", commit, err, third)
	}
	// Another process has read a commit that this one has not seen.
	other := NewSource(Options{Git: git, URL: work, Mirror: filepath.Join(t.TempDir(), "m")})
	if c, err = other.Read(t.Context(), third); err != nil || len(c.Lorries) != 2 {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestSourceSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	git, dir := needGit(t), t.TempDir()
	runGit(t, dir, "init", "-q", "--bare", filepath.Join(dir, "empty"))
	two := filepath.Join(dir, "two")
	commitFiles(t, two, "one", map[string]string{"a": "a"})
	runGit(t, two, "branch", "other")
	runGit(t, two, "symbolic-ref", "HEAD", "refs/heads/none")
	writeFiles(t, dir, map[string]string{"plain/file": "x"})
	for _, tt := range []struct{ name, url, branch, want string }{
		{"empty", filepath.Join(dir, "empty"), "", "is empty: push a branch with lorry-controller.conf to it"},
		{"missing", filepath.Join(dir, "missing"), "", "can't be read"},
		{"no repository", filepath.Join(dir, "plain"), "", "does not appear to be a git repository"},
		{"no such branch", two, "master", `has no branch "master"; set confgit-branch to one of one, other`},
		{"HEAD leads nowhere", two, "", "names no branch; set confgit-branch to one of one, other"},
		{"unreachable", "http://127.0.0.1:1/confgit", "", "can't be read"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			mirror := filepath.Join(t.TempDir(), "m")
			_, err := NewSource(Options{Git: git, URL: tt.url, Branch: tt.branch, Mirror: mirror}).Update(t.Context())
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), tt.url) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if err != nil && core.KindOf(err) == core.KindInternal {
				t.Errorf("%v has no kind", err)
			}
		})
	}
}

// A failure must not take away what was fetched before.
func TestSourceSurvivesAnOutage(t *testing.T) {
	t.Parallel()
	git, work := needGit(t), filepath.Join(t.TempDir(), "work")
	commitFiles(t, work, "main", map[string]string{ConfFile: oneSection, "foo.lorry": fooLorry})
	s := NewSource(Options{Git: git, URL: work, Mirror: filepath.Join(t.TempDir(), "m")})
	commit, err := s.Update(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(work, work+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Update(t.Context()); err == nil {
		t.Error("no error")
	}
	if c, err := s.Read(t.Context(), commit); err != nil || len(c.Lorries) != 1 {
		t.Errorf("got %+v, %v", c, err)
	}
}

// An object that is lost is not a file that was removed: that would remove
// every Lorry.
func TestSourceHealsABrokenMirror(t *testing.T) {
	t.Parallel()
	git, work := needGit(t), filepath.Join(t.TempDir(), "work")
	mirror := filepath.Join(t.TempDir(), "m")
	commitFiles(t, work, "main", map[string]string{ConfFile: oneSection, "foo.lorry": fooLorry})
	s := NewSource(Options{Git: git, URL: work, Mirror: mirror})
	commit, err := s.Update(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{ConfFile, "foo.lorry"} {
		loseObject(t, mirror, commit+":"+name)
		if err := os.Rename(work, work+".away"); err != nil {
			t.Fatal(err)
		}
		if c, err := s.Read(t.Context(), commit); err == nil {
			t.Errorf("%s is lost, and nobody noticed: %+v", name, c)
		}
		if err := os.Rename(work+".away", work); err != nil {
			t.Fatal(err)
		}
		if c, err := s.Read(t.Context(), commit); err != nil || len(c.Lorries) != 1 {
			t.Errorf("%s: got %+v, %v", name, c, err)
		}
	}
}

// loseObject removes one object of a bare repository.
func loseObject(t *testing.T, repo, name string) {
	t.Helper()
	id := runGit(t, repo, "rev-parse", name)
	packs, err := filepath.Glob(filepath.Join(repo, "objects", "pack", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, pack := range packs {
		away := filepath.Join(t.TempDir(), filepath.Base(pack))
		if err := os.Rename(pack, away); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(away, ".pack") {
			unpack := exec.CommandContext(t.Context(), "git", "unpack-objects", "-q")
			unpack.Dir = repo
			if unpack.Stdin, err = os.Open(away); err != nil {
				t.Fatal(err)
			}
			if out, err := unpack.CombinedOutput(); err != nil {
				t.Fatal(err, string(out))
			}
		}
	}
	if err := os.Remove(filepath.Join(repo, "objects", id[:2], id[2:])); err != nil {
		t.Fatal(err)
	}
}

func TestSomebodyElsesFilesAreNotRemoved(t *testing.T) {
	t.Parallel()
	git, work, mirror := needGit(t), filepath.Join(t.TempDir(), "work"), t.TempDir()
	commitFiles(t, work, "main", map[string]string{"a": "a"})
	writeFiles(t, mirror, map[string]string{"HEAD": "mine", "notes": "mine"})
	_, err := NewSource(Options{Git: git, URL: work, Mirror: mirror}).Update(t.Context())
	if err == nil || !strings.Contains(err.Error(), "is no mirror of CONFGIT") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(mirror, "notes")); err != nil {
		t.Error(err)
	}
}

func TestDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := NewSource(Options{Directory: dir})
	commit, err := s.Update(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c, err := s.Read(t.Context(), commit); err != nil || len(c.Lorries) != 0 {
		t.Fatalf("an empty directory: got %+v, %v", c, err)
	}
	writeFiles(t, dir, map[string]string{ConfFile: oneSection, "foo.lorry": fooLorry, ".git/x.lorry": "x"})
	links(t, dir)
	again, err := s.Update(t.Context())
	if err != nil || again == commit {
		t.Fatalf("a change was not seen: %q, %v", again, err)
	}
	c, err := s.Read(t.Context(), again)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"p/foo", "p/inside"}, paths(c)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(linkProblems(), describeAll(c.Problems)); diff != "" {
		t.Error(diff)
	}
	if same, err := s.Update(t.Context()); err != nil || same != again {
		t.Errorf("got %q, %v; want %q", same, err, again)
	}
	if _, err := NewSource(Options{Directory: filepath.Join(dir, "none")}).Update(t.Context()); err == nil {
		t.Error("no error for a directory that is missing")
	}
}
