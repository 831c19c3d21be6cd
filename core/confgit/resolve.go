package confgit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
)

// revision is what may name a commit: a hash, a branch or a whole ref, and
// nothing that git would take for something else.
var revision = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/+-]{0,200}$`)

// wholeHash is the name of a commit in full.
var wholeHash = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// Resolve gives the commit that a hash, a branch or a ref of CONFGIT names, and
// fetches it if need be; "" is what Update would give. Nothing that is read
// later changes. An unknown name is core.KindNotFound.
func (s *Source) Resolve(ctx context.Context, rev string) (commit string, err error) {
	if rev == "" {
		return s.Update(ctx)
	}
	if s.opts.URL == "" {
		return "", &core.Error{
			Kind: core.KindUnsupported, Fact: "CONFGIT is a plain directory here, which has no commits",
			Hint: "leave the commit out to plan for what the directory holds now",
		}
	}
	if !revision.MatchString(rev) || strings.Contains(rev, "..") || strings.HasSuffix(rev, ".lock") {
		return "", &core.Error{Kind: core.KindInvalid, Fact: fmt.Sprintf("%q names no commit", rev), Hint: "give a commit's hash, a branch, or a ref such as refs/merge-requests/1/head"}
	}
	if _, err := s.Update(ctx); err != nil {
		return "", err
	}
	if hashLike(rev) {
		if commit, err := s.revParse(ctx, rev); err == nil {
			return commit, nil
		}
	}
	const planned = "refs/lorry/planned"
	source := rev
	if !strings.HasPrefix(rev, "refs/") && !wholeHash.MatchString(rev) {
		source = "refs/heads/" + rev
	}
	err = s.opts.Git.Run(ctx, s.call(absolutePath(s.opts.Mirror), "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance",
		"--", s.opts.URL, "+"+source+":"+planned))
	if err != nil {
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		return "", &core.Error{
			Kind: core.KindNotFound, Err: err, Fact: fmt.Sprintf("CONFGIT has no %q: %s", rev, reason(err)),
			Hint: "give a commit's hash, a branch, or a ref such as refs/merge-requests/1/head, that was pushed to CONFGIT",
		}
	}
	return s.revParse(ctx, planned)
}

// hashLike reports whether a text may be a commit's hash, or its beginning.
func hashLike(text string) bool {
	return len(text) >= 4 && strings.Trim(text, "0123456789abcdef") == ""
}

func (s *Source) revParse(ctx context.Context, rev string) (string, error) {
	text, err := s.opts.Git.Output(ctx, childproc.GitCall{GitDir: absolutePath(s.opts.Mirror), Args: []string{"rev-parse", "--verify", "--quiet", rev + "^{commit}"}})
	return strings.TrimSpace(text), err
}

// ReadFiles reads files as if they were a whole CONFGIT.
func (s *Source) ReadFiles(ctx context.Context, contents map[string][]byte) (*Config, error) {
	sum := sha256.New()
	for _, path := range slices.Sorted(maps.Keys(contents)) {
		fmt.Fprintf(sum, "%q %q\n", path, contents[path])
	}
	return Parse(ctx, given(contents), "files:"+hex.EncodeToString(sum.Sum(nil))[:40], s.opts.Rules)
}

// given is a Tree that is in memory.
type given map[string][]byte

// List implements Tree.
func (g given) List(context.Context) ([]string, error) { return slices.Sorted(maps.Keys(g)), nil }

// Read implements Tree.
func (g given) Read(_ context.Context, paths []string, _ int, see func(path string, data []byte)) error {
	for _, path := range paths {
		see(path, g[path])
	}
	return nil
}
