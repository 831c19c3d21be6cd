package gitsource

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
)

// left looks for refs that git passed over although it was content: those of a
// shallow upstream, whose history is not whole. It says what they are in failure,
// a *gitfail.Error, or nil.
func (s *Source) left(ctx context.Context, before, wanted, after map[string]string) (failure, err error) {
	passed := func(wanted map[string]string) (names []string) {
		for name, object := range wanted {
			if after[name] != object && after[name] == before[name] {
				names = append(names, name)
			}
		}
		sort.Strings(names)
		return names
	}
	if len(passed(wanted)) == 0 {
		return nil, nil
	}
	// It may have been put back while it was fetched.
	again, err := s.List(ctx)
	if err != nil {
		return nil, err
	}
	missed := passed(overlap(sift(again.Map()).wanted, wanted))
	if len(missed) == 0 {
		return nil, nil
	}
	what := missed[0]
	if more := len(missed) - 1; more > 0 {
		what += fmt.Sprintf(" (and %d more refs)", more)
	}
	return gitfail.New(core.FailCorrupt, gitfail.Upstream, hintLeft, "upstream: it lists %s, but does not give what git takes", what), nil
}

// overlap are the entries of one map whose names the other has, too.
func overlap(one, other map[string]string) map[string]string {
	both := maps.Clone(one)
	maps.DeleteFunc(both, func(name, _ string) bool { return other[name] == "" })
	return both
}

const hintLeft = "upstream may be a shallow copy, whose history is not whole (complete it with git fetch --unshallow), or its servers do not agree yet; git's warnings tell"

const hintShallow = "upstream is itself a shallow copy: mirror what it was cloned from, or have it completed (git fetch --unshallow)"

// shallow reports whether a repository lacks the beginning of its history.
func shallow(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, "shallow"))
	return !errors.Is(err, fs.ErrNotExist)
}

// errShallow is the failure of a clone whose upstream is shallow.
func errShallow() error {
	return gitfail.New(core.FailCorrupt, gitfail.Upstream, hintShallow, "upstream: the history is not whole")
}

// saysShallow reports whether that is why git did not clone.
func saysShallow(err error) bool {
	var exit *childproc.ExitError
	return errors.As(err, &exit) && exit.Err == nil && strings.Contains(exit.Stderr, "source repository is shallow")
}

// renew moves a working copy away that an upstream left without the beginning
// of its history: no fetch would bring it, and nothing can be pushed from it.
func (s *Source) renew() error {
	if !s.Repo.Exists() || !shallow(s.Repo.Dir) {
		return nil
	}
	fmt.Fprintln(s.Out, ".. the working copy lacks a part of its history: making a new one")
	if err := s.Area.SetAside(s.KeepOld); err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	return nil
}

// outgrown moves a working copy away whose objects have names of another kind
// than upstream's, which was made anew: nothing can be fetched into it.
func (s *Source) outgrown(upstream lsrefs.Listing) (bool, error) {
	if len(upstream.Refs) == 0 {
		return false, nil
	}
	long, err := s.Repo.LongNames()
	if err != nil {
		return false, nil //nolint:nilerr // what is damaged is found out where it is used
	}
	if long == (len(upstream.Refs[0].Object) == hex.EncodedLen(sha256.Size)) {
		return false, nil
	}
	fmt.Fprintln(s.Out, ".. upstream names its objects in another way than before (SHA-1 or SHA-256): making a new working copy, and keeping the old one beside it")
	if err := s.Area.SetAside(s.KeepOld); err != nil {
		return false, gitfail.From(err, gitfail.Local)
	}
	return true, nil
}
