// Package push brings the refs of a working area to the repository on the
// Downstream Host, says what became of each, and proves it by reading them
// back.
//
// It must not fetch, never deletes or changes a ref that it was not told to,
// and never overwrites one whose value it did not see itself.
package push

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/importer/policy"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
	"github.com/lorry-controller/lorry-controller/core/importer/route"
)

// Push is one push of a Lorry.
type Push struct {
	Repo   *repo.Repo
	Access core.Access
	// Local is the downstream repository's directory when it is on this
	// machine, or "".
	Local string
	// Route is how connections of this process reach the downstream repository.
	Route route.Route
	// Reader, when not nil, reads its refs in this process where they are served
	// over HTTP.
	Reader *lsrefs.Reader
	// Whole says that Repo holds nothing that its refs do not lead to as long as it
	// has a single pack.
	Whole bool
	// Policy decides whether a refused rewrite is held or final.
	Policy policy.Policy
	// Pushed, when not nil, gives the refs that this Lorry brought here before, as
	// they were, and their names upstream as far as they are known. It gets the
	// refs that are there now. Pruning is limited to them.
	Pushed func(have map[string]string) (refs, sources map[string]string)
	// Upstream are the refs that upstream has, as far as Policy mirrors them, wanted
	// or not. What it still has is not pruned because the specification names it
	// no more.
	Upstream map[string]string
	// Options go to the server as push options, in order. A server that takes
	// none gets none, which Out is told.
	Options []string
	// Before, when not nil, brings what must be downstream before any ref is
	// pushed. It gets the refs that are there now.
	Before func(ctx context.Context, have map[string]string) error
	// Taking, when not nil, is told of every ref that the push may take an object
	// from, by force or by deleting it, before it does. After an error nothing is
	// pushed.
	Taking func(ctx context.Context, from map[string]string) error
	// Meaning, when not nil, is told of the refs that are to be created or changed,
	// before anything is sent. After an error nothing is pushed.
	Meaning func(refs []policy.Wanted, have map[string]string) error
	// Arrived, when not nil, is called when what is new has been pushed and before
	// what is gone is deleted.
	Arrived func(context.Context)
	// Told, when not nil, is told of how many of the wanted refs it is known what
	// became of them.
	Told func(done int)
	// Temp makes an empty directory on the same disk as the repository.
	Temp          func() (string, error)
	Out, Progress io.Writer
	Log           hclog.Logger

	fewLeases bool // for tests: a guard stands in for any number of leases
}

// Result says what a push did.
type Result struct {
	// Refs are those that changed or were refused, by name.
	Refs []core.RefResult
	// Changed counts the refs that were changed.
	Changed int
	// After are the refs that downstream has now.
	After map[string]string
	// Failure is why the push did not bring everything; Kind "" when it did.
	Failure core.Failure
}

// Run makes downstream have the wanted refs. The error, a *gitfail.Error, says
// that nothing is known about single refs; otherwise the Result does.
func (p *Push) Run(ctx context.Context, wanted []policy.Wanted) (Result, error) {
	have, links, err := p.list(ctx)
	if err != nil {
		return Result{}, err
	}
	if p.Before != nil {
		if err := p.Before(ctx, have); err != nil {
			return Result{}, err
		}
	}
	var pushed, sources map[string]string
	if p.Pushed != nil {
		pushed, sources = p.Pushed(have)
	}
	p.tellDrift(wanted, pushed, have)
	var differ []policy.Wanted
	for _, w := range wanted {
		if have[w.Dst] != w.Object {
			differ = append(differ, w)
		}
	}
	gone := p.gone(wanted, pushed, sources, have)
	p.told(len(wanted) - len(differ))
	if len(differ) == 0 && len(gone) == 0 {
		return Result{After: have}, nil
	}
	plan := p.plan(wanted, differ, gone, have, links)
	if err := p.take(ctx, plan.push, append(slices.Clone(plan.first), plan.last...), have); err != nil {
		return Result{}, err
	}
	if p.Meaning != nil && len(plan.push) > 0 {
		if err := p.Meaning(plan.push, have); err != nil {
			return Result{}, err
		}
	}
	outcome, failed, created := p.bring(ctx, wanted, plan, have)
	if ctx.Err() != nil {
		return Result{}, gitfail.From(context.Cause(ctx), gitfail.Downstream)
	}
	after, links, err := p.list(ctx)
	if err != nil {
		if failed != nil {
			err = failed
		}
		return Result{}, err
	}
	p.told(len(wanted))
	if created && arrived(wanted, after) {
		failed = nil // somebody else has created the same: a run that died here, most likely
	}
	differ = append(differ, plan.compare(wanted, have, after, links)...)
	for _, ref := range gone {
		differ = append(differ, policy.Wanted{Dst: ref})
	}
	res, err := p.judge(differ, plan.bars, have, after, outcome, failed)
	res.After = after
	return res, err
}

// bring does what was planned, in the way that suits. created says that the
// refs were created one by one in an empty repository.
func (p *Push) bring(ctx context.Context, wanted []policy.Wanted, plan plan, have map[string]string) (outcome map[string]report, failed error, created bool) {
	if len(plan.bars) == 0 {
		filled, failed := p.seed(ctx, wanted, have)
		if filled {
			return nil, failed, false
		}
		if outcome, filled, failed = p.upload(ctx, wanted, have); filled {
			return outcome, failed, outcome != nil
		}
	}
	outcome, failed = p.send(ctx, plan, have, len(wanted)-len(plan.push))
	return outcome, failed, false
}

// send deletes what is in the way, pushes what is new, then deletes the rest of
// what is gone. So many refs were there already.
func (p *Push) send(ctx context.Context, plan plan, have map[string]string, there int) (map[string]report, error) {
	said := make(map[string]report)
	var failed error
	add := func(told map[string]report, err error) {
		maps.Copy(said, told)
		if failed == nil {
			failed = err
		}
	}
	if len(plan.first) > 0 {
		add(p.prune(ctx, plan.first, have))
	}
	forced, differ, err := p.force(ctx, plan.push, have)
	add(forced, err)
	there += len(forced)
	p.told(there)
	for _, part := range parts(differ, have) {
		told, err := p.push(ctx, part, have)
		add(told, err)
		there += len(told)
		p.told(there)
		if ctx.Err() != nil {
			return said, failed
		}
	}
	if len(plan.last) > 0 && ctx.Err() == nil {
		if p.Arrived != nil {
			p.Arrived(ctx)
		}
		add(p.prune(ctx, plan.last, have))
	}
	return said, failed
}

// maxLeases is how many refs one call of git may force: each takes an argument.
const maxLeases = 2000

// parts splits the refs into what one call of git can push, which is usually
// all of them.
func parts(refs []policy.Wanted, have map[string]string) [][]policy.Wanted {
	if len(refs) == 0 {
		return nil
	}
	var all [][]policy.Wanted
	start, leases := 0, 0
	for i, w := range refs {
		if w.Forces(have[w.Dst]) {
			leases++
		}
		if leases > maxLeases {
			all, start, leases = append(all, refs[start:i]), i, 1
		}
	}
	return append(all, refs[start:])
}

// push sends the refs in one go. They stand, under their names downstream, in
// a small repository of their own that borrows the objects: one pattern then
// names exactly them, however many there are and however they are renamed.
func (p *Push) push(ctx context.Context, refs []policy.Wanted, have map[string]string) (map[string]report, error) {
	dir, err := p.stage(refs)
	if err != nil {
		return nil, gitfail.From(err, gitfail.Local)
	}
	defer func() { _ = repo.Remove(dir) }()
	args := []string{"--no-verify"}
	for _, w := range refs {
		if old := have[w.Dst]; w.Forces(old) {
			// Compare and swap. A "+" in the refspec would switch it off.
			args = append(args, "--force-with-lease="+w.Dst+":"+old)
		}
	}
	return p.sendStaged(ctx, childproc.GitCall{GitDir: dir}, len(refs), args)
}

// sendStaged pushes what stands in the small repository, so many refs.
func (p *Push) sendStaged(ctx context.Context, call childproc.GitCall, refs int, args []string) (map[string]report, error) {
	call.DeferRefSync, call.Patience = p.Local != "" && refs >= repo.ManyRefs, p.patience(refs)
	said, err := p.git(ctx, call, append(args, "--", p.Access.URL, "refs/*:refs/*"))
	if call.DeferRefSync {
		if serr := repo.SyncDisk(p.Local); err == nil && serr != nil {
			err = gitfail.New(core.FailDisk, gitfail.Downstream, gitfail.Hint(core.FailDisk, gitfail.Downstream), "downstream: %v", serr)
		}
	}
	return said, err
}

const (
	// perRef is how long a server may take to write a ref: it says nothing until
	// all are written, or deleted from a list of very many.
	perRef = 20 * time.Millisecond
	// perMiB is how long it may take to check a mebibyte of objects: it says too
	// little meanwhile to count as a transfer.
	perMiB = time.Second
)

// patience is how much longer than others a server may say nothing that gets so
// many refs, and at most all objects.
func (p *Push) patience(refs int) time.Duration {
	size := repo.DiskUsage(filepath.Join(p.Repo.Dir, "objects", "pack"))
	return time.Duration(refs)*perRef + time.Duration(size>>20)*perMiB
}

// git runs git push with the push options. Only the attempt tells whether the
// server takes any; it fails before anything is sent.
func (p *Push) git(ctx context.Context, call childproc.GitCall, args []string) (map[string]report, error) {
	for {
		var out strings.Builder
		call.Args = []string{"push", "--porcelain", "--progress", "--no-follow-tags"}
		for _, o := range p.Options {
			call.Args = append(call.Args, "--push-option="+o)
		}
		call.Args = append(call.Args, args...)
		call.Protocols, call.Access = lsrefs.Protocols(p.Access.URL), &p.Access
		call.Stdout, call.Stderr, call.ExtraFiles = &out, p.Progress, p.Repo.Files
		err := p.Repo.Git.Run(ctx, call)
		var exit *childproc.ExitError
		if len(p.Options) == 0 || !errors.As(err, &exit) || !strings.Contains(exit.Stderr, "does not support push options") {
			return parsePorcelain(out.String()), err
		}
		fmt.Fprintf(p.Out, ".. warning: downstream takes no push options; pushing without %d of them\n", len(p.Options))
		p.Options = nil
	}
}

// stage makes the small repository.
func (p *Push) stage(refs []policy.Wanted) (dir string, err error) {
	dir, err = p.Temp()
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			_ = repo.Remove(dir)
		}
	}()
	config, err := os.ReadFile(filepath.Join(p.Repo.Dir, "config"))
	if err != nil {
		return "", err
	}
	objects, err := filepath.Abs(filepath.Join(p.Repo.Dir, "objects"))
	if err != nil {
		return "", err
	}
	var packed strings.Builder
	packed.WriteString("# pack-refs with: sorted \n")
	sort.Slice(refs, func(i, j int) bool { return refs[i].Dst < refs[j].Dst })
	for _, w := range refs {
		fmt.Fprintf(&packed, "%s %s\n", w.Object, w.Dst)
	}
	for _, sub := range []string{"objects/info", "objects/pack", "refs/heads"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return "", err
		}
	}
	for name, text := range map[string]string{
		"HEAD": "ref: refs/heads/lorry-has-no-head\n", "config": string(config),
		"packed-refs": packed.String(), "objects/info/alternates": objects + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return "", err
		}
	}
	return dir, nil
}
