// Package workcopytest makes the working copies that tests of sources fill, and
// keeps upstream repositories that are made once for all tests of a package.
//
// It is for tests alone and must not know any source.
package workcopytest

import (
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/area"
	"github.com/lorry-controller/lorry-controller/core/importer/policy"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
	"github.com/lorry-controller/lorry-controller/core/importer/workcopy"
	"github.com/lorry-controller/lorry-controller/core/spec"
)

// New makes the working copy of a specification, whose lock is held until the
// test ends, in the working area work. What it tells goes to out.
func New(t testing.TB, work string, s spec.Spec, out io.Writer) workcopy.Copy {
	t.Helper()
	git, err := childproc.NewGit(childproc.GitOptions{Home: work + "-home", Grace: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	p, err := policy.New(s, core.RewriteByRefspec)
	if err != nil {
		t.Fatal(err)
	}
	a, err := area.Open(t.Context(), work, "thing", time.Second, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return workcopy.Copy{
		Area: a, Repo: &repo.Repo{Dir: a.GitDir(), Git: git, Files: []*os.File{a.Lock()}}, Policy: p,
		Clock: time.Now, Log: hclog.NewNullLogger(), Out: out, Progress: out,
	}
}

// Seed is a directory for an upstream repository that is made once for all
// tests of a package, inside Do.
type Seed struct {
	sync.Once
	Dir string
}

// Run is what the TestMain of a package with a Seed does: it runs the tests,
// looks for goroutines that are left, removes the seed and ends the program.
func (s *Seed) Run(m *testing.M) {
	dir, err := os.MkdirTemp("", "seed-")
	if err != nil {
		panic(err)
	}
	s.Dir = filepath.Join(dir, "seed")
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		_ = os.RemoveAll(dir)
		os.Exit(status)
	}))
}
