package push

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/policy"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
)

// maxComparisons is up to how many comparisons leases are given to git: it
// compares each with each ref of the mirror, which for 50,000 of both takes the
// better part of an hour.
const maxComparisons = 1 << 20

// guard is the hook that stands in for very many leases. git tells it, before
// anything is sent, which refs it is about to change to what, and which objects
// they have at the mirror now: exactly those that were seen. From then on the
// mirror itself compares.
const guard = `#!/bin/sh
cut -d ' ' -f 2- | sort | cmp -s - "$0-expects"
`

// force pushes what is to be rewritten when that is very much, and gives what is
// left to be pushed. When one of the refs has changed, all are left: with leases,
// git says which.
func (p *Push) force(ctx context.Context, refs []policy.Wanted, have map[string]string) (said map[string]report, left []policy.Wanted, err error) {
	var forced []policy.Wanted
	for _, w := range refs {
		if w.Forces(have[w.Dst]) {
			forced = append(forced, w)
		} else {
			left = append(left, w)
		}
	}
	none := make(map[string]report)
	if len(forced)*len(have) <= p.comparisons() {
		return none, refs, nil
	}
	dir, err := p.stage(forced)
	if err != nil {
		return none, refs, nil //nolint:nilerr // whoever pushes the rest meets it again
	}
	defer func() { _ = repo.Remove(dir) }()
	hooks, err := writeGuard(dir, forced, have)
	if err != nil {
		return none, refs, nil //nolint:nilerr // the leases do it too
	}
	call := childproc.GitCall{GitDir: dir, Config: []childproc.Setting{{Key: "core.hooksPath", Value: hooks}}}
	if said, err = p.sendStaged(ctx, call, len(forced), []string{"--force"}); len(said) == 0 {
		return none, refs, nil //nolint:nilerr // as above
	}
	return said, left, err
}

func (p *Push) comparisons() int {
	if p.fewLeases {
		return 0
	}
	return maxComparisons
}

// writeGuard makes the directory of hooks. It fails where no file can be run,
// since git then passes over the hook.
func writeGuard(dir string, refs []policy.Wanted, have map[string]string) (hooks string, err error) {
	hooks = filepath.Join(dir, "hooks")
	lines := make([]string, 0, len(refs))
	for _, w := range refs {
		to := w.Object
		if to == "" {
			to = strings.Repeat("0", len(have[w.Dst])) // it goes
		}
		lines = append(lines, to+" "+w.Dst+" "+have[w.Dst]+"\n")
	}
	sort.Strings(lines)
	hook := filepath.Join(hooks, "pre-push")
	if err := os.MkdirAll(hooks, 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(hook+"-expects", []byte(strings.Join(lines, "")), 0o644); err != nil {
		return "", err
	}
	if err := os.WriteFile(hook, []byte(guard), 0o755); err != nil {
		return "", err
	}
	for _, tool := range []string{"/bin/sh", hook} {
		if err := unix.Access(tool, unix.X_OK); err != nil {
			return "", fmt.Errorf("%s cannot be run: %w", tool, err)
		}
	}
	return hooks, nil
}
