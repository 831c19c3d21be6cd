package hgsource

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
)

// pull makes the clone what upstream is, which listed these heads; one that
// cannot be used is made anew, which costs time and nothing else. dir is for a
// moment.
func (s *Source) pull(ctx context.Context, dir string, upstream lsrefs.Listing) error {
	clone := s.Area.Path(cloneName)
	if _, err := os.Stat(filepath.Join(clone, ".hg", "store", "journal")); err == nil {
		// A run died within a transaction.
		if _, err := s.hg(ctx, nil, "recover", "--no-verify", "-q", "-R", clone); err != nil && ctx.Err() == nil {
			s.Log.Warn("cannot recover the clone", "lorry", s.Area.Name, "error", err)
		}
	}
	if _, err := os.Stat(filepath.Join(clone, ".hg")); err == nil {
		fmt.Fprintln(s.Out, ".. pulling changesets")
		_, err := s.hg(ctx, s.Progress, "pull", s.insecure("-q", "-R", clone, "--", s.Access.URL)...)
		var gone []string
		if err == nil {
			gone, err = s.gone(ctx, dir, upstream)
		}
		switch {
		case err == nil && len(gone) == 0:
			return nil
		case err == nil:
			fmt.Fprintf(s.Out, ".. upstream has the heads %s no more: making a new clone\n", strings.Join(gone, " "))
		default:
			if e := failure(err); e.Kind != core.FailOther && e.Kind != core.FailCorrupt || ctx.Err() != nil {
				return e
			}
			fmt.Fprintf(s.Out, ".. the clone cannot be updated (%v): making a new one\n", err)
		}
	}
	fmt.Fprintln(s.Out, ".. doing initial clone")
	fresh := filepath.Join(dir, "hg")
	if _, err := s.hg(ctx, s.Progress, "clone", s.insecure("-q", "--noupdate", "--pull", "--", s.Access.URL, fresh)...); err != nil {
		return failure(err)
	}
	if err := repo.Remove(clone); err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	if err := os.Rename(fresh, clone); err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	return nil
}

// gone asks which heads of the clone upstream has no more: a pull brings what
// is new and leaves what was taken away.
func (s *Source) gone(ctx context.Context, dir string, upstream lsrefs.Listing) ([]string, error) {
	listed := filepath.Join(dir, "listed")
	if err := os.WriteFile(listed, []byte(strings.Join(nodes(upstream), "\n")), 0o644); err != nil {
		return nil, gitfail.From(err, gitfail.Local)
	}
	out, err := s.hg(ctx, nil, "lorry-gone", s.insecure("-R", s.Area.Path(cloneName), "--", listed, s.Access.URL)...)
	return strings.Fields(out), err
}

// nodes are the heads and bookmarks that a listing holds.
func nodes(l lsrefs.Listing) []string {
	var list []string
	for _, r := range l.Refs {
		for word := range strings.FieldsSeq(r.Object) {
			list = append(list, split(word)...)
		}
	}
	return list
}

// branchHeads are the heads of branches that a listing holds, those of a branch
// in upstream's order.
func branchHeads(l lsrefs.Listing) []string {
	var list []string
	for _, r := range l.Refs {
		word, _, _ := strings.Cut(r.Object, " ")
		list = append(list, split(word)...)
	}
	return list
}

// split gives the nodes of one branch, or of several that have one name in git.
func split(word string) []string {
	var list []string
	for part := range strings.SplitSeq(word, ",") {
		for ; len(part) >= 40; part = part[40:] {
			list = append(list, part[:40])
		}
	}
	return list
}
