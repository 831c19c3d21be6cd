package confgit

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A large configuration is read in a moment: this would not end otherwise.
func TestLargeConfiguration(t *testing.T) {
	t.Parallel()
	tree := memory{}
	var conf strings.Builder
	conf.WriteString("[\n")
	for i := range 1500 {
		if i > 0 {
			conf.WriteString(",\n")
		}
		fmt.Fprintf(&conf, "{\n\"type\": \"lorries\",\n\"interval\": \"6H\",\n\"prefix\": \"p%d\",\n\"globs\": [\n\"d%d/*.lorry\"\n]\n}", i, i)
		for j := range 4 {
			tree[fmt.Sprintf("d%d/f%d.lorry", i, j)] = fmt.Sprintf(`{"n%d": {"type": "git", "url": "https://example.com/%d/%d"}}`, j, i, j)
		}
	}
	conf.WriteString("\n]\n")
	tree[ConfFile] = conf.String()
	c, err := Parse(t.Context(), tree, "", Rules{})
	if err != nil || len(c.Lorries) != 6000 || len(c.Problems) > 0 {
		t.Fatalf("got %d Lorries, %v, %v", len(c.Lorries), c.Problems, err)
	}
}

func FuzzConf(f *testing.F) {
	f.Add(exampleConf)
	f.Add(`[{"type": "gitlab", "host": "h", "protocol": "ssh", "prefixmap": {"": ""}, "auth": {"username": 1}, "x": [{}]}, 3]`)
	f.Fuzz(func(t *testing.T, text string) {
		tree := memory{ConfFile: text, "proxy.conf": text, "open-source-lorries/a.lorry": text}
		c, err := Parse(t.Context(), tree, "", Rules{})
		if err != nil {
			var broken *BrokenError
			if !errors.As(err, &broken) {
				t.Errorf("not a broken file: %v", err)
			}
			return
		}
		for _, p := range c.Problems {
			if p.File == "" || p.Message == "" || p.Severity == "" {
				t.Errorf("a problem without a place: %+v", p)
			}
		}
	})
}

// TestLargeFilesAreLeftOut: what somebody commits beside the rest, however
// large, costs neither the memory nor the other files.
func TestLargeFilesAreLeftOut(t *testing.T) {
	t.Parallel()
	git, work := needGit(t), filepath.Join(t.TempDir(), "work")
	commitFiles(t, work, "trunk", map[string]string{ConfFile: oneSection, "foo.lorry": fooLorry, "huge.lorry": strings.Repeat(" ", maxFile+1)})
	s := NewSource(Options{Git: git, URL: work, Mirror: filepath.Join(t.TempDir(), "confgit")})
	commit, err := s.Update(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Read(t.Context(), commit)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"p/foo"}, paths(c)); diff != "" {
		t.Error(diff)
	}
	tree := gitTree{git: git, dir: s.opts.Mirror, commit: commit}
	contents, err := readAll(t.Context(), tree, "huge.lorry", "foo.lorry")
	if err != nil || string(contents["foo.lorry"]) != fooLorry || len(contents["huge.lorry"]) <= maxFile || contents["huge.lorry"][0] == ' ' {
		t.Errorf("the file was read: %d bytes, %v", len(contents["huge.lorry"]), err)
	}
	if len(c.Problems) != 1 || c.Problems[0].File != "huge.lorry" || !strings.Contains(c.Problems[0].Message, "larger than") {
		t.Errorf("got %+v", c.Problems)
	}
}

// TestPasswordsInTheWrongPlaceAreNotTold: an admin may have put a whole URL
// where a name belongs. Problems are stored and shown to everybody.
func TestPasswordsInTheWrongPlaceAreNotTold(t *testing.T) {
	t.Parallel()
	const url = "https://root:s3cret@git.example.com/x"
	tree := memory{
		ConfFile: `[{"type": "lorries", "interval": "1h", "prefix": "p", "globs": ["*.lorry"]},
			{"type": "gitlab", "host": "` + url + `", "protocol": "https", "prefixmap": {"` + url + `": "` + url + `"}, "interval": "1h", "ls-interval": "1h"},
			{"type": "gitlab", "host": "h", "protocol": "` + url + `", "prefixmap": "` + url + `", "interval": "` + url + `", "ls-interval": "` + url + `", "ignore": "` + url + `"}]`,
		"a.lorry": `{"` + url + `": {"type": "git", "url": "https://git.example.com/x"}}`,
		"b.lorry": `{"b": {"type": "git", "url": "https://git.example.com/x", "refspecs": ["` + url + `"]}}`,
		"c.lorry": `{"c": {"type": "` + url + `", "url": "https://git.example.com/x", "lfs": "` + url + `", "rewrites": "` + url + `"}}`,
	}
	c, err := Parse(t.Context(), tree, "", Rules{})
	if err != nil || len(c.Problems) < 5 {
		t.Fatalf("got %+v, %v", c, err)
	}
	for _, p := range c.Problems {
		if strings.Contains(fmt.Sprint(p), "s3cret") {
			t.Errorf("told: %+v", p)
		}
	}
}

func TestTooMuchAltogetherChangesNothing(t *testing.T) {
	t.Parallel()
	tree := memory{ConfFile: `[{"type": "lorries", "interval": "1h", "prefix": "p", "globs": ["*.lorry"]}]`}
	for i := range 10 {
		tree[fmt.Sprintf("%d.lorry", i)] = fmt.Sprintf(`{"r%d": {"type": "git", "url": "https://git.example.com/r%d"}}`, i, i)
	}
	size := len(tree["0.lorry"]) * 10
	if c, err := Parse(t.Context(), tree, "c", Rules{total: size}); err != nil || len(c.Lorries) != 10 {
		t.Fatalf("at the bound: %v, %v", c, err)
	}
	_, err := Parse(t.Context(), tree, "c", Rules{total: size - 1})
	var broken *BrokenError
	if !errors.As(err, &broken) || !strings.Contains(err.Error(), "together, so none of them is read") {
		t.Errorf("beyond the bound: %v", err)
	}
}

func TestHalfANumberIsNoInterval(t *testing.T) {
	t.Parallel()
	tree := memory{
		ConfFile: `[{"type": "lorries", "interval": 1e300, "prefix": "p", "globs": ["*.lorry"], "lorry-timeout": 1.5},
{"type": "lorries", "interval": 90, "prefix": "q", "globs": ["*.lorry"]}]`,
		"a.lorry": `{"a": {"type": "git", "url": "https://git.example.com/a"}}`,
	}
	c, err := Parse(t.Context(), tree, "c", Rules{})
	if err != nil || len(c.Lorries) != 2 {
		t.Fatal(c, err)
	}
	if c.Lorries[0].Interval != 24*time.Hour || c.Lorries[1].Interval != 90*time.Second {
		t.Errorf("intervals of %s and %s", c.Lorries[0].Interval, c.Lorries[1].Interval)
	}
	var told []string
	for _, p := range c.Problems {
		told = append(told, p.Key)
		if !strings.Contains(p.Message, "is no interval: write whole seconds") {
			t.Errorf("problem %q", p.Message)
		}
	}
	if diff := cmp.Diff([]string{"interval", "lorry-timeout"}, told); diff != "" {
		t.Error(diff)
	}
}
