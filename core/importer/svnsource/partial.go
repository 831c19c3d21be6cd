package svnsource

import (
	"context"
	"fmt"
	"hash/maphash"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/meter"
)

// comparing is how long upstream's lists of new branches and tags may take when
// fetching them took no longer: an old server lists each directory by itself.
const comparing = time.Minute

// partial names the branches and tags that lack files, and says, as a
// *gitfail.Error, what they lack. Those that are new are compared with upstream's
// lists, and those that were copied anew to a name that was there.
//
// git svn makes a copy from what it has of the place that was copied, and asks
// for the differences alone. Files that the account may read in the copy and not
// where they come from are no difference to the server, so that nobody tells it.
func (s *Source) partial(ctx context.Context, places map[string]place, have, refs map[string]string, fetching time.Duration) (names []string, failure error) {
	if strings.HasPrefix(s.Access.URL, "file:") {
		return nil, nil // no rules there say who may read what
	}
	limit, cancel := context.WithTimeout(ctx, max(comparing, fetching))
	defer cancel()
	skipped := 0
	for _, ref := range slices.Sorted(maps.Keys(refs)) {
		path, known := s.pathOf(places, ref)
		if !known || !s.copied(ctx, have[mirrored(ref)], refs[ref]) {
			continue
		}
		first, n, err := s.lacks(limit, path, refs[ref])
		if err != nil {
			s.Log.Debug("cannot compare with upstream's list", "lorry", s.Area.Name, "directory", path, "error", err)
			skipped++
			continue
		}
		if n == 0 {
			continue
		}
		if names = append(names, mirrored(ref)); failure == nil {
			failure = gitfail.New(core.FailAuth, gitfail.Upstream,
				"let the account read the place that was copied as well as the copy, and remove this Lorry's directory from the working area: its history is then another",
				"upstream: in %q, git svn did not bring %q (%d in all), which the account may read there and not where it was copied from: that branch or tag is left as it was", path, first, n)
		}
	}
	if len(names) > 1 {
		fmt.Fprintf(s.Out, ".. warning: %d branches and tags lack files that upstream has, and are left as they were\n", len(names))
	}
	if skipped > 0 && ctx.Err() == nil {
		fmt.Fprintf(s.Out, ".. warning: %d new branches and tags could not be compared with what upstream lists\n", skipped)
	}
	return names, failure
}

// pathOf gives the place of a ref of git svn, if upstream has it now.
func (s *Source) pathOf(places map[string]place, ref string) (path string, ok bool) {
	if trunk := s.layout().Trunk; ref == trunkRef {
		return strings.TrimPrefix(trunk, "."), true
	}
	plain, err := url.PathUnescape(ref)
	p, ok := places[plain]
	return p.path, ok && err == nil
}

// copied reports whether a place is new since it was mirrored, or was copied to
// its name again: git svn makes what was there before a parent beside.
func (s *Source) copied(ctx context.Context, was, now string) bool {
	if was == "" || was == now {
		return was == ""
	}
	out, err := s.Repo.Git.Output(ctx, s.Repo.Call("rev-list", "--merges", "--max-count=1", now, "^"+was))
	return err == nil && out != ""
}

// lacks counts the files that upstream lists at a place and a commit of it has
// not, and names one.
func (s *Source) lacks(ctx context.Context, path, commit string) (first string, n int, err error) {
	id, err := s.svnID(ctx, "--max-count=1", commit)
	if err != nil {
		return "", 0, err
	}
	_, revision := id.split()
	seed := maphash.MakeSeed()
	files := make(map[uint64]struct{})
	call := s.Repo.Call("ls-tree", "-r", "-z", "--name-only", commit)
	call.Stdout = meter.Parts(0, func(name string) { files[maphash.String(seed, name)] = struct{}{} })
	if err := s.Repo.Git.Run(ctx, call); err != nil {
		return "", 0, err
	}
	err = s.askSvnTo(ctx, meter.Lines(func(name string) {
		// git svn leaves out what git takes for a repository of its own.
		if strings.HasSuffix(name, "/") || slices.Contains(strings.Split(name, "/"), ".git") {
			return
		}
		if _, ok := files[maphash.String(seed, name)]; !ok {
			if n++; n == 1 {
				first = name
			}
		}
	}), "list", "-R", "--", s.below(path).Access.URL+"@"+revision)
	return first, n, err
}

// svnID is the line of a commit's message that says where in Subversion it comes
// from.
type svnID string

// svnID gives that of the commit that rev-list shows for the arguments.
func (s *Source) svnID(ctx context.Context, args ...string) (svnID, error) {
	args = append([]string{"rev-list", "--no-commit-header", "--format=%B"}, args...)
	out, err := s.Repo.Git.Output(ctx, s.Repo.Call(args...))
	if err != nil {
		return "", err
	}
	const key = "git-svn-id: "
	at := strings.LastIndex(out, key)
	if at < 0 {
		return "", fmt.Errorf("a commit of git svn names no revision")
	}
	id, _, _ := strings.Cut(out[at+len(key):], " ")
	return svnID(id), nil
}

// split gives the address, and the revision.
func (id svnID) split() (address, revision string) {
	at := strings.LastIndexByte(string(id), '@')
	return string(id[:max(at, 0)]), string(id[at+1:])
}
