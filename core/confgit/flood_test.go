package confgit

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
)

// mistakes are .lorry files as nobody should write them; {n} is a number.
var mistakes = []string{
	"{\"x{n}\": {\"type\": \"git\", \"url\": \"http://example.com/{n}.git\"},\n \"y\": ]}",
	"x{n}:\n  type: git\n  url: http://example.com/{n}\n bad: [\n",
	`{"x{n}": {"type": "gti", "url": "http://example.com/{n}.git"}}`,
	`{"x{n}": {"type": "git", "url": "http://example.com/{n}.git", "colour": "blue"}}`,
	`{"x{n}": {"type": "git", "url": ["http://example.com/{n}.git"]}}`,
	`{"same": {"type": "git", "url": "http://example.com/{n}.git"}}`,
	`{"../../etc/x{n}": {"type": "git", "url": "http://example.com/{n}.git"}}`,
	"\x00\x01\xff\xfe" + strings.Repeat("\x02", 1000),
	strings.Repeat("{n}: 5\n", 3) + strings.Repeat("- 5\n", 100),
	strings.Repeat("x{n}: 5\n", 300),
	"a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d]\n",
	`{"x{n}": {"type": "` + strings.Repeat("q", 5000) + `", "url": "http://user:hunter2@example.com/"}}`,
	strings.Repeat("\t", 20) + strings.Repeat("{", 3000),
}

// sectionMistakes are sections of lorry-controller.conf in the same way.
var sectionMistakes = []string{
	`{"type": "lorries", "interval": "now and then", "prefix": "p{n}", "globs": ["none/{n}.lorry"]}`,
	`{"type": "lorries", "interval": "1h", "prefix": "p{n}"}`,
	`{"type": "lorries", "interval": "1h", "prefix": "../p{n}", "globs": ["/etc/*"]}`,
	`{"type": "lorries", "interval": "1h", "prefix": "q{n}", "globs": ["../../{n}/*", "[z-a]"], "zzz": 1}`,
	`{"type": "gitlaab", "host": "h{n}"}`,
	`{"type": "gitlab", "host": "h{n}", "protocol": "ssh", "prefixmap": {"": "h"}, "ls-interval": {}, "interval": ["x"], "auth": "hunter2"}`,
	`{"type": "{n}` + strings.Repeat("long", 1000) + `"}`,
	`{n}`,
}

func numbered(text string, n int) string { return strings.ReplaceAll(text, "{n}", fmt.Sprint(n)) }

// floodOf makes a CONFGIT of two good sections and as many mistakes as wanted.
func floodOf(n int) memory {
	tree := memory{"bad/0-long.lorry": `{"l": {"type": "git", "url": "http://example.com/x", "refspecs": ["` + strings.Repeat(`refs/heads/a","`, 20_000) + `refs/heads/b"]}}`}
	tree["good/a.lorry"] = `{"a": {"type": "git", "url": "http://example.com/a.git"}}`
	tree["bad/0-zz.lorry"] = strings.Repeat("x: y\n", maxFile/4)
	var conf strings.Builder
	conf.WriteString("[{\"type\": \"lorries\", \"interval\": \"1h\", \"prefix\": \"good\", \"globs\": [\"good/*.lorry\"]},\n" +
		"{\"type\": \"lorries\", \"interval\": \"1h\", \"prefix\": \"bad\", \"globs\": [\"bad/*.lorry\"]}")
	for i := range n {
		tree[fmt.Sprintf("bad/%05d.lorry", i)] = numbered(mistakes[i%len(mistakes)], i)
		conf.WriteString(",\n" + strings.ReplaceAll(numbered(sectionMistakes[i%len(sectionMistakes)], i), ", ", ",\n"))
	}
	tree[ConfFile] = conf.String() + "]\n"
	return tree
}

// TestTenThousandMistakes: what is wrong is told with its place, and no more of
// it than somebody can read; what is right is used.
func TestTenThousandMistakes(t *testing.T) {
	t.Parallel()
	tree := floodOf(10_000)
	c, err := Parse(t.Context(), tree, "", Rules{Types: []string{"gitlab"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := paths(c); len(got) == 0 || got[len(got)-1] != "good/a" || !c.KeepAll {
		t.Errorf("got %d Lorries, kept all: %v", len(got), c.KeepAll)
	}
	size, files := 0, map[string]bool{}
	for _, p := range c.Problems {
		if p.File == "" || p.Message == "" || p.Line == 0 && !strings.Contains(p.Message, " more ") && !strings.Contains(p.Message, "not UTF-8") &&
			!strings.Contains(p.Message, "larger than") && !strings.HasPrefix(p.Message, "neither JSON nor valid YAML: ") {
			t.Errorf("a problem without a place: %+v", p)
		}
		if strings.Contains(fmt.Sprint(p), "hunter2") {
			t.Errorf("a password is told: %+v", p)
		}
		size += len(p.Key) + len(p.Message)
		files[p.File] = true
	}
	if !files["bad/0-long.lorry"] || !files["bad/0-zz.lorry"] || !files[ConfFile] {
		t.Errorf("not every file is told of")
	}
	last := c.Problems[len(c.Problems)-1]
	if len(c.Problems) > mostProblems+1 || size > 400_000 || len(files) < 300 || !strings.Contains(last.Message, "more problems") {
		t.Errorf("%d problems of %d files in %d bytes, and last %+v", len(c.Problems), len(files), size, last)
	}
}

// TestMistakesInGit: files come out of git a few at a time, and so that no mistake
// is another one then.
func TestMistakesInGit(t *testing.T) {
	t.Parallel()
	git, dir := needGit(t), filepath.Join(t.TempDir(), "confgit.git")
	tree := floodOf(300)
	mib := `{"x{n}": {"type": "git", "url": "http://example.com/", "colour": "` + strings.Repeat("x", 1<<20) + `"}}`
	for i := range 20 {
		tree[fmt.Sprintf("bad/mib%d.lorry", i)] = numbered(mib, i)
	}
	importTree(t, git, dir, tree)
	s := NewSource(Options{Git: git, URL: dir, Mirror: filepath.Join(t.TempDir(), "mirror")})
	commit, err := s.Update(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Read(t.Context(), commit)
	if err != nil {
		t.Fatal(err)
	}
	want, err := Parse(t.Context(), tree, commit, Rules{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.Problems, got.Problems); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(paths(want), paths(got)); diff != "" {
		t.Error(diff)
	}
}

// importTree makes a repository with the files of a tree.
func importTree(t *testing.T, git *childproc.Git, dir string, tree memory) {
	t.Helper()
	runGit(t, t.TempDir(), "init", "-q", "--bare", "-b", "trunk", dir)
	var stream strings.Builder
	fmt.Fprintf(&stream, "commit refs/heads/trunk\ncommitter A <a@example.com> 1700000000 +0000\ndata 0\n\n")
	for path, text := range tree {
		fmt.Fprintf(&stream, "M 100644 inline %s\ndata %d\n%s\n", path, len(text), text)
	}
	err := git.Run(t.Context(), childproc.GitCall{GitDir: dir, Args: []string{"fast-import", "--quiet"}, Stdin: strings.NewReader(stream.String())})
	if err != nil {
		t.Fatal(err)
	}
}

// TestProblemsAreBoundedOneByOne: a message quotes what is wrong, however long.
func TestProblemsAreBoundedOneByOne(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 1500)
	tree := memory{
		ConfFile:  `[{"type": "lorries", "interval": "1h", "prefix": "p", "globs": ["*.lorry"]}, "` + long + `"]`,
		"a.lorry": `{"` + long + `": {"type": "` + long + `"}, "b": {"type": "git", "url": "http://example.com/", "` + long + `": 1}}`,
	}
	c, err := Parse(t.Context(), tree, "", Rules{})
	if err != nil || len(c.Problems) < 3 {
		t.Fatalf("got %+v, %v", c, err)
	}
	for _, p := range c.Problems {
		if len(p.Message) > mostMessage || len(p.Key) > mostKey || strings.ContainsRune(p.Message+p.Key, '\uFFFD') {
			t.Errorf("got %d and %d bytes: %q", len(p.Key), len(p.Message), p.Message)
		}
	}
	if got := c.Problems[0].Message; !strings.HasPrefix(got, "every section must be a map, not \"éé") || !strings.HasSuffix(got, "éé\"; it is left out") {
		t.Errorf("got %q", got)
	}
	broken, err := Parse(t.Context(), memory{ConfFile: `"` + long + `"`}, "", Rules{})
	if broken != nil || err == nil || len(err.Error()) > 2*mostMessage {
		t.Errorf("got %v, %v", broken, err)
	}
}

func TestWorstProblems(t *testing.T) {
	t.Parallel()
	var all []core.Problem
	for i := range mostProblems + 7 {
		all = append(all, core.Problem{File: "f", Line: i, Severity: core.SeverityWarning})
	}
	all = append(all, core.Problem{File: "g", Severity: core.SeverityError})
	got := Worst(all)
	want := append(append([]core.Problem{}, all[:mostProblems-1]...), all[len(all)-1],
		core.Problem{File: ConfFile, Severity: core.SeverityWarning, Message: "there are 8 more problems, none worse than these"})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(all[:3], Worst(all[:3])); diff != "" {
		t.Error(diff)
	}
}
