package bzrsource

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
)

// pull brings brz's copy of a branch up to date and gives its place. A copy
// that cannot be used is made anew, which costs time and nothing else.
func (s *Source) pull(ctx context.Context, b Branch) (string, error) {
	shared := s.Area.Path(copyName)
	if _, err := os.Stat(filepath.Join(shared, ".bzr")); err != nil {
		if err := os.RemoveAll(shared); err != nil {
			return "", gitfail.From(err, gitfail.Local)
		}
		if _, err := s.brz(ctx, true, nil, "init-shared-repo", "--no-trees", "-q", "--", shared); err != nil {
			return "", failure(err, gitfail.Local)
		}
	}
	sum := sha256.Sum256([]byte(b.Name))
	place := filepath.Join(shared, hex.EncodeToString(sum[:8]))
	if _, err := os.Stat(filepath.Join(place, ".bzr", "branch", "last-revision")); err == nil {
		fmt.Fprintf(s.Out, ".. pulling %s\n", b.Name)
		_, err := s.brz(ctx, false, s.Progress, "pull", "--overwrite", "-q", "-d", place, "--", b.Access.URL)
		if err == nil {
			return place, nil
		}
		if e := failure(err, gitfail.Upstream); e.Kind != core.FailOther && e.Kind != core.FailCorrupt || ctx.Err() != nil {
			return "", e
		}
		fmt.Fprintf(s.Out, ".. the copy of %s cannot be updated (%v): making a new one\n", b.Name, err)
		if err := os.RemoveAll(shared); err != nil {
			return "", gitfail.From(err, gitfail.Local)
		}
		return s.pull(ctx, b)
	}
	if err := os.RemoveAll(place); err != nil {
		return "", gitfail.From(err, gitfail.Local)
	}
	fmt.Fprintf(s.Out, ".. doing initial copy of %s\n", b.Name)
	if _, err := s.brz(ctx, false, s.Progress, "branch", "-q", "--no-tree", "--", b.Access.URL, place); err != nil {
		return "", failure(err, gitfail.Upstream)
	}
	return place, nil
}

// look gives the state of a copy, which has no tags but these: a pull brings
// new ones and leaves those that upstream has deleted. dir is for a moment.
func (s *Source) look(ctx context.Context, place string, tags map[string]string, dir string) (state, error) {
	for attempt := 0; ; attempt++ {
		out, err := s.brz(ctx, true, nil, "lorry-tips", "--", place)
		var now []state
		if err != nil || json.Unmarshal([]byte(out), &now) != nil || len(now) != 1 {
			return state{}, failure(err, gitfail.Local)
		}
		deleted := maps.Clone(now[0].Tags)
		maps.DeleteFunc(deleted, func(tag, _ string) bool { return tags[tag] != "" })
		if attempt > 0 || len(deleted) == 0 {
			return now[0], nil
		}
		list, err := json.Marshal(slices.AppendSeq([]string{}, maps.Keys(tags))) // [], never null
		path := filepath.Join(dir, "tags")
		if err == nil {
			err = os.WriteFile(path, list, 0o600)
		}
		if err != nil {
			return state{}, gitfail.From(err, gitfail.Local)
		}
		if _, err := s.brz(ctx, true, nil, "lorry-keep-tags", "--", place, path); err != nil {
			return state{}, failure(err, gitfail.Local)
		}
	}
}

// tagName is the tag that a ref of an export names.
func tagName(ref string) (string, bool) { return strings.CutPrefix(ref, tags) }

// keep is the ref that holds a tag's object until everything is there.
func keep(branch, tag string) string {
	sum := sha256.Sum256([]byte(branch))
	return "refs/kept/" + hex.EncodeToString(sum[:8]) + "/" + tag
}
