package fastimport

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newRepo(t *testing.T) (*repo.Repo, *gittest.Repo) {
	t.Helper()
	dir := t.TempDir()
	git, err := childproc.NewGit(childproc.GitOptions{Home: filepath.Join(dir, "home"), Grace: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	r := gittest.NewRepo(t, filepath.Join(dir, "git"))
	return &repo.Repo{Dir: r.Dir, Git: git}, r
}

func commit(s *Stream, path string) {
	fmt.Fprintf(s, "commit %s\ncommitter A <a@example.com> 1 +0000\ndata 1\nx\nM 644 :1 %s\n\n", Ref, Quote(path))
}

func TestFinish(t *testing.T) {
	t.Parallel()
	r, git := newRepo(t)
	s := Start(t.Context(), r, "")
	if _, err := s.Blob(3, strings.NewReader("abc")); err != nil {
		t.Fatal(err)
	}
	const name = "a \"name\"\n\\ü\x01"
	commit(s, name)
	if err := s.Finish(); err != nil {
		t.Fatal(err)
	}
	s.Abort()
	if got := git.Git("ls-tree", "-z", "--name-only", Ref); strings.TrimRight(got, "\x00") != name {
		t.Errorf("got %q", got)
	}
	if err := Clear(t.Context(), r); err != nil || len(git.Refs()) != 0 {
		t.Errorf("%v, left %v", err, git.Refs())
	}
}

// TestBroken: a stream that is broken off, is too short or is nonsense changes
// no ref and leaves nothing behind; what is told is what came first.
func TestBroken(t *testing.T) {
	t.Parallel()
	ours := errors.New("the source failed")
	for name, feed := range map[string]func(*Stream) error{
		"aborted": func(s *Stream) error {
			_, err := s.Blob(3, strings.NewReader("abc"))
			commit(s, "a")
			if err == nil {
				err = ours
			}
			return s.Err(err)
		},
		"too short": func(s *Stream) error {
			_, err := s.Blob(30, strings.NewReader("abc"))
			return s.Err(err)
		},
		"nonsense": func(s *Stream) error {
			fmt.Fprintln(s, "nonsense")
			return s.Finish()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, git := newRepo(t)
			s := Start(t.Context(), r, "")
			err := feed(s)
			s.Abort()
			var exit *childproc.ExitError
			if err == nil || errors.As(err, &exit) != (name == "nonsense") || name == "aborted" && !errors.Is(err, ours) {
				t.Errorf("got %v", err)
			}
			left, _ := filepath.Glob(filepath.Join(r.Dir, "fast_import_crash*"))
			if len(left) > 0 || len(git.Refs()) != 0 {
				t.Errorf("left %v, %v", left, git.Refs())
			}
		})
	}
}
