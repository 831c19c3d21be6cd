package bzrsource

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
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
		_, err := s.brz(ctx, false, s.progress(), "pull", "--overwrite", "-q", "-d", place, "--", b.Access.URL)
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
	if _, err := s.brz(ctx, false, s.progress(), "branch", "-q", "--no-tree", "--", b.Access.URL, place); err != nil {
		return "", failure(err, gitfail.Upstream)
	}
	return place, nil
}

// failure reads what brz says.
func failure(err error, place gitfail.Place) *gitfail.Error {
	if err == nil {
		err = errors.New("brz gave no answer")
	}
	var exit *childproc.ExitError
	if !errors.As(err, &exit) || exit.Err != nil {
		return gitfail.From(err, place)
	}
	text := strings.ToLower(exit.Stderr)
	for _, r := range []struct {
		kind     core.FailureKind
		patterns []string
	}{
		{core.FailTool, []string{`library "fastimport"`, "no module named 'fastimport'", "unknown command"}},
		{core.FailDisk, []string{"no space left", "disk quota", "input/output error"}},
		{core.FailHostKey, []string{"host key verification failed"}},
		{core.FailSpec, []string{"is not its own place"}},
		{core.FailGone, []string{"not a branch", "no such file", "moved to another host", "no such project", "has no branch", "http status 404", "http status 410"}},
		{core.FailTLS, []string{"certificate"}},
		{core.FailAuth, []string{"permission denied", "http status 401", "http status 403", "403 forbidden", "401 unauthorized", "authentication"}},
		{core.FailNetwork, []string{"http status 5", "connection error", "could not resolve", "timed out", "connection closed", "connection reset", "no route", "refused", "unexpected end"}},
		{core.FailCorrupt, []string{"bzrcheckerror", "corrupt", "knit", "error in data", "nosuchrevision", "checksum"}},
	} {
		for _, p := range r.patterns {
			if line := lineWith(exit.Stderr, text, p); line != "" {
				hint := gitfail.Hint(r.kind, place)
				if r.kind == core.FailTool {
					hint = "install brz with its library for fast-import where the minion runs (on Debian: apt install brz python3-fastimport)"
				}
				if r.kind == core.FailSpec {
					hint = "name the branch itself: one that refers to another, or is stacked on it, is read only on the same host"
				}
				e := gitfail.New(r.kind, place, hint, "%s: %s", place, line)
				e.Err = err
				return e
			}
		}
	}
	return gitfail.From(err, place)
}

// lineWith gives the line of a text that holds a pattern.
func lineWith(text, lower, pattern string) string {
	i := strings.Index(lower, pattern)
	if i < 0 || len(lower) != len(text) {
		return ""
	}
	start := strings.LastIndexByte(text[:i], '\n') + 1
	line, _, _ := strings.Cut(text[start:], "\n")
	return strings.TrimPrefix(strings.TrimSpace(line), "brz: ERROR: ")
}

// tagName is the tag that a ref of an export names.
func tagName(ref string) (string, bool) { return strings.CutPrefix(ref, tags) }

// keep is the ref that holds a tag's object until everything is there.
func keep(branch, tag string) string {
	sum := sha256.Sum256([]byte(branch))
	return "refs/kept/" + hex.EncodeToString(sum[:8]) + "/" + tag
}
