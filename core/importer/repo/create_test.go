package repo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// TestHalfMade: what somebody else put there is not taken for what Create left.
func TestHalfMade(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		files map[string]string // a directory ends with "/"
		want  bool
	}{
		"nothing":          {nil, false},
		"a directory":      {map[string]string{"objects/info/": ""}, true},
		"all but HEAD":     {map[string]string{"objects/info/": "", "objects/pack/": "", "refs/heads/": "", "refs/tags/": "", "config": configText}, true},
		"SHA-256":          {map[string]string{"objects/": "", "config": longConfigText}, true},
		"a part of config": {map[string]string{"refs/heads/": "", "config": configText[:9]}, true},
		"an empty config":  {map[string]string{"refs/heads/": "", "config": ""}, true},
		"another config":   {map[string]string{"config": "my precious"}, false},
		"an object":        {map[string]string{"objects/data": "x"}, false},
		"a ref":            {map[string]string{"refs/heads/main": "x"}, false},
		"HEAD":             {map[string]string{"objects/info/": "", "HEAD": ""}, false},
		"another name":     {map[string]string{"objects/info/": "", "readme": "x"}, false},
		"a directory more": {map[string]string{"objects/more/": ""}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "thing.git")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			for name, text := range test.files {
				path := filepath.Join(dir, name)
				err := os.MkdirAll(filepath.Dir(dir+"/"+name+"x"), 0o755)
				if err == nil && !strings.HasSuffix(name, "/") {
					err = os.WriteFile(path, []byte(text), 0o644)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if got := HalfMade(dir); got != test.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

// TestCreateLike makes what git takes for a repository, with names of the same
// kind.
func TestCreateLike(t *testing.T) {
	t.Parallel()
	gittest.Require(t, "git")
	dir := t.TempDir()
	git, err := childproc.NewGit(childproc.GitOptions{Home: filepath.Join(dir, "home")})
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"sha1", "sha256"} {
		other := &Repo{Dir: filepath.Join(dir, "other-"+format), Git: git}
		gittest.OpenRepo(t, dir).Git("init", "-q", "--bare", "--object-format="+format, other.Dir)
		like := &Repo{Dir: filepath.Join(dir, "like-"+format), Git: git}
		if err := like.CreateLike(other); err != nil {
			t.Fatal(err)
		}
		if got := gittest.OpenRepo(t, like.Dir).Git("rev-parse", "--show-object-format"); got != format {
			t.Errorf("want %q, got %q", format, got)
		}
	}
}
