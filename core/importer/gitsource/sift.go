package gitsource

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
)

// sifted is what of a listing can be had.
type sifted struct {
	wanted map[string]string
	odd    map[string]string // what nobody can keep: it is told, and no failure
	lost   map[string]string // what upstream lists and cannot have: name to reason
}

// sift divides what upstream lists.
func sift(listed map[string]string) sifted {
	s := sifted{maps.Clone(listed), map[string]string{}, map[string]string{}}
	for name, object := range listed {
		switch {
		case !repo.ValidName(name) || repo.TooLong(name):
			s.odd[name] = object
			delete(s.wanted, name)
		case strings.Trim(object, "0") == "":
			s.lose(name, "which it says is no object at all")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.wanted)) {
		if above := s.above(name); above != "" {
			s.lose(name, fmt.Sprintf("and %.200s, too, which cannot be a directory then", above))
		}
	}
	return s
}

func (s *sifted) lose(name, why string) {
	delete(s.wanted, name)
	s.lost[name] = why
}

// excluded are the refs that a fetch must not ask for.
func (s *sifted) excluded() []string {
	var list []string
	for name := range s.lost {
		list = append(list, name)
	}
	for name := range s.odd {
		if repo.ValidName(name) { // git passes over the others
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

// hold keeps what cannot be had as it was, unless its place is taken.
func (s *sifted) hold(before map[string]string) {
	for name := range s.lost {
		if object := before[name]; object != "" && s.above(name) == "" {
			s.wanted[name] = object
		}
	}
}

// above is a wanted ref that a name lies below, as if that were a directory.
func (s *sifted) above(name string) string {
	for i := strings.LastIndexByte(name, '/'); i > 0; i = strings.LastIndexByte(name[:i], '/') {
		if s.wanted[name[:i]] != "" {
			return name[:i]
		}
	}
	return ""
}

// mostTold is how many names are told one by one.
const mostTold = 20

// tell says what nobody can keep.
func (s *sifted) tell(src *Source) {
	for i, name := range slices.Sorted(maps.Keys(s.odd)) {
		if i == mostTold {
			fmt.Fprintf(src.Out, ".. warning: and %d more such refs\n", len(s.odd)-i)
			return
		}
		why := "git does not take"
		if repo.ValidName(name) {
			why = "is too long"
		}
		fmt.Fprintf(src.Out, ".. warning: upstream has a ref whose name %s, %.200q; it is left out\n", why, name)
	}
}

const hintLost = "the other refs are mirrored; nobody but upstream's owner can mend this: git fsck there names what is wrong, and the ref has to be restored or deleted there"

// failure says what cannot be had, a *gitfail.Error, or gives nil.
func (s *sifted) failure() error {
	if len(s.lost) == 0 {
		return nil
	}
	name := slices.Min(slices.Collect(maps.Keys(s.lost)))
	more := ""
	if n := len(s.lost) - 1; n > 0 {
		more = fmt.Sprintf(" (and %d more refs that cannot be had)", n)
	}
	return gitfail.New(core.FailCorrupt, gitfail.Upstream, hintLost, "upstream: it lists %.200s, %s%s", name, s.lost[name], more)
}

// notThere finds the object that a server lists and does not have, in the words
// of git's upload-pack, of JGit's, and of git's own reader of plain files.
var notThere = regexp.MustCompile(`(?:not our ref|want|Unable to find|Cannot obtain needed object|Cannot obtain needed [a-z]+) ([0-9a-f]{40}(?:[0-9a-f]{24})?)\b`)

// missing gives that object of a failed fetch, or "".
func missing(err error) string {
	var exit *childproc.ExitError
	if !errors.As(err, &exit) || exit.Err != nil {
		return ""
	}
	if found := notThere.FindStringSubmatch(exit.Stderr); found != nil {
		return found[1]
	}
	return ""
}

// oddBranch finds what git refuses to make a branch of: git takes such from a
// clone, and would keep every other ref of a fetch back.
var oddBranch = regexp.MustCompile(`trying to write non-commit object ([0-9a-f]{40}(?:[0-9a-f]{24})?) to branch`)

// noCommit gives that object of a failed fetch, or "".
func noCommit(err error) string {
	var exit *childproc.ExitError
	if !errors.As(err, &exit) || exit.Err != nil {
		return ""
	}
	if found := oddBranch.FindStringSubmatch(exit.Stderr); found != nil {
		return found[1]
	}
	return ""
}

const branches = "refs/heads/"

// loseBranch leaves branches out that are no commit.
func (s *sifted) loseBranch(name, object string) {
	s.lose(name, fmt.Sprintf("whose object %.12s is no commit, as a branch has to be", object))
}

// loseObject leaves out what upstream's refs lead to and cannot be had: an object
// that is not there or, of branches, one that is no commit.
func (s *sifted) loseObject(listed map[string]string, missing, odd string) {
	for name, is := range listed {
		switch {
		case s.wanted[name] == "":
		case is == missing:
			s.lose(name, fmt.Sprintf("whose object %.12s it does not have", missing))
		case is == odd && strings.HasPrefix(name, branches):
			s.loseBranch(name, odd)
		}
	}
}

// careful reports whether a clone that failed so can be had with less than all
// refs: only a fetch leaves some out.
func careful(err error) bool {
	return missing(err) != "" || gitfail.From(err, gitfail.Upstream).Kind == core.FailCorrupt && saysClash(err)
}

// saysClash reports whether git could not keep the names of a listing.
func saysClash(err error) bool {
	var exit *childproc.ExitError
	return errors.As(err, &exit) && (strings.Contains(exit.Stderr, "multiple updates for ref") || strings.Contains(exit.Stderr, "at the same time"))
}

// mostLost is how many fetches are tried, each without one object more.
const mostLost = 20

// fetchAll fetches all that can be had. Upstream may have changed since it was
// listed: what it no longer lists is not missed.
func (s *Source) fetchAll(ctx context.Context, upstream *lsrefs.Listing, can *sifted, before map[string]string, changing int) error {
	for try := 1; ; try++ {
		err := s.fetch(ctx, upstream.Map(), changing, can.excluded()...)
		object, odd := missing(err), noCommit(err)
		if object == "" && odd == "" || try == mostLost || ctx.Err() != nil {
			return err
		}
		again, lerr := s.List(ctx)
		if lerr != nil {
			return lerr
		}
		lost := can.lost
		*upstream, *can = again, sift(again.Map())
		for name, why := range lost {
			if can.wanted[name] != "" {
				can.lose(name, why)
			}
		}
		can.loseObject(again.Map(), object, odd)
		if len(can.wanted) == 0 {
			return can.failure()
		}
		can.hold(before)
	}
}
