package svnsource

import (
	"context"
	"fmt"
	"hash/maphash"
	"maps"
	"net/url"
	"os"
	"path/filepath"
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

// comparison is what new branches and tags are compared with.
type comparison struct {
	*Source
	rec  record
	now  info
	have map[string]string // the mirrored refs as they were
	// unfit counts files that git refuses for their names, of which this is one.
	unfit   int
	refused string
}

// partial names the branches and tags that lack files, and says, as a
// *gitfail.Error, what they lack. Those that are new are compared with upstream's
// lists, and those that were copied anew to a name that was there. What nobody
// asked for is no failure, and is compared again by the next run.
//
// git svn makes a copy from what it has of the place that was copied, and asks
// for the differences alone. Files that the account may read in the copy and not
// where they come from are no difference to the server, so that nobody tells it.
func (c *comparison) partial(ctx context.Context, places map[string]place, refs map[string]string, asked map[string]bool, fetching time.Duration) (names []string, failure error) {
	limit, cancel := context.WithTimeout(ctx, max(comparing, fetching))
	defer cancel()
	lost, skipped := 0, 0
	for _, ref := range slices.Sorted(maps.Keys(refs)) {
		name := mirrored(ref)
		if !c.copied(ctx, c.have[name], refs[ref]) {
			continue
		}
		address, first, n, err := c.lacks(limit, places, ref, refs[ref])
		if err != nil {
			c.Log.Debug("cannot compare with upstream's list", "lorry", c.Area.Name, "ref", ref, "error", err)
			skipped++
			continue
		}
		if n == 0 {
			continue
		}
		if names = append(names, name); !asked[name] {
			continue
		}
		if lost++; failure == nil {
			failure = gitfail.New(core.FailAuth, gitfail.Upstream,
				"let the account read the place that was copied as well as the copy, and remove this Lorry's directory from the working area: its history is then another; or leave the branch or tag out by the refspecs",
				"upstream: in %q, git svn did not bring %q (%d in all), which the account may read there and not where it was copied from: that branch or tag is left as it was", address, first, n)
		}
	}
	c.tell(lost, skipped, ctx.Err() == nil)
	return names, failure
}

func (c *comparison) tell(partial, skipped int, whole bool) {
	if partial > 1 {
		fmt.Fprintf(c.Out, ".. warning: %d branches and tags lack files that upstream has, and are left as they were\n", partial)
	}
	if skipped > 0 && whole {
		fmt.Fprintf(c.Out, ".. warning: %d new branches and tags could not be compared with what upstream lists\n", skipped)
	}
	if c.unfit > 0 {
		fmt.Fprintf(c.Out, ".. warning: left out are files whose names git refuses, such as %q (%d in all new branches and tags)\n", c.refused, c.unfit)
	}
}

// address gives the place of a ref of git svn, as a URL without a revision.
func (c *comparison) address(places map[string]place, ref string, id svnID) (string, error) {
	if trunk := c.layout().Trunk; ref == trunkRef {
		return c.below(strings.TrimPrefix(trunk, ".")).Access.URL, nil
	}
	if plain, err := url.PathUnescape(ref); err == nil && places[plain].ref != "" {
		return c.below(places[plain].path).Access.URL, nil
	}
	// It is not where the layout can be listed: the commit says where.
	first, _ := split(c.rec.URL, c.now.path)
	root, _ := split(c.Access.URL, c.now.path)
	address, _ := id.split()
	path, ok := strings.CutPrefix(address, strings.TrimRight(first, "/")+"/")
	if !ok {
		return "", fmt.Errorf("its commit is from %q, which is not below %q", address, first)
	}
	return strings.TrimRight(root, "/") + "/" + path, nil
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

// most bounds how many files that a commit lacks are looked at by name.
const most = 10_000

// lacks counts the files that upstream lists at the place of a ref and a commit
// of it has not, and names one.
func (c *comparison) lacks(ctx context.Context, places map[string]place, ref, commit string) (address, first string, n int, err error) {
	id, err := c.svnID(ctx, "--max-count=1", commit)
	if err != nil {
		return "", "", 0, err
	}
	if address, err = c.address(places, ref, id); err != nil {
		return "", "", 0, err
	}
	_, revision := id.split()
	seed := maphash.MakeSeed()
	files := make(map[uint64]struct{})
	call := c.Repo.Call("ls-tree", "-r", "-z", "--name-only", commit)
	call.Stdout = meter.Parts(0, func(name string) { files[maphash.String(seed, name)] = struct{}{} })
	if err := c.Repo.Git.Run(ctx, call); err != nil {
		return "", "", 0, err
	}
	var missing []string
	err = c.askSvnTo(ctx, meter.Lines(func(name string) {
		if _, ok := files[maphash.String(seed, name)]; ok || strings.HasSuffix(name, "/") {
			return
		}
		if n++; n <= most {
			missing = append(missing, name)
		}
	}), "list", "-R", "--", address+"@"+revision)
	if err != nil || n == 0 {
		return address, "", 0, err
	}
	first, unfit, err := c.fit(ctx, missing)
	return address, first, n - unfit, err
}

// fit counts the names that git refuses, such as .git, and gives one that it
// takes, if there is one. Whether it would have taken a link, which nothing else
// tells, is asked of all: it matters for .gitmodules alone.
func (c *comparison) fit(ctx context.Context, names []string) (first string, unfit int, err error) {
	dir, err := c.Area.Temp()
	if err != nil {
		return "", 0, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	index := []string{"GIT_INDEX_FILE=" + filepath.Join(dir, "index")}
	var all strings.Builder
	for _, name := range names {
		fmt.Fprintf(&all, "120000 %s\t%s\x00", emptyFile, name)
	}
	call := c.Repo.Call("update-index", "-z", "--index-info")
	call.Env, call.Stdin = index, strings.NewReader(all.String())
	if err := c.Repo.Git.Run(ctx, call); err != nil {
		return "", 0, err
	}
	call = c.Repo.Call("ls-files", "-z")
	call.Env = index
	out, err := c.Repo.Git.Output(ctx, call)
	if err != nil {
		return "", 0, err
	}
	taken := make(map[string]bool)
	for name := range strings.SplitSeq(out, "\x00") {
		taken[name] = true
	}
	for _, name := range names {
		if !taken[name] {
			unfit, c.refused = unfit+1, name
		} else if first == "" {
			first = name
		}
	}
	c.unfit += unfit
	return first, unfit, nil
}

// emptyFile is the name of an empty file's object, which need not be there.
const emptyFile = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"

// asked gives those of the branches and tags that the refspecs bring downstream,
// of what git svn has made and of what it ought to have.
func (s *Source) asked(wanted map[string]string, places map[string]place) map[string]bool {
	all := maps.Clone(wanted)
	for _, p := range places {
		all[mirrored(p.ref)] = p.path
	}
	asked := make(map[string]bool)
	list, _ := s.Policy.Wanted(all)
	for _, w := range list {
		asked[w.Src] = true
	}
	return asked
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
