package daemon

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/adapter"
	"github.com/lorry-controller/lorry-controller/core/spec"
	"github.com/lorry-controller/lorry-controller/core/webapp/minions"
)

// factsMaxAge is how long the adapters' answers about one repository are used
// again. A job that failed is always prepared afresh.
const factsMaxAge = time.Hour

// adapters gives the ports of the configured hosts. *adapter.Manager has it.
type adapters interface {
	Upstream(name string) (core.Upstream, error)
	Downstream(name string) (core.Downstream, error)
}

// preparer gets the Downstream Host and the credentials ready for each job.
// What it remembers saves calls and is safe to lose: another core asks again.
type preparer struct {
	adapters adapters
	// access gives the credentials that CONFGIT holds for a Lorry, or nil.
	access func(core.LorryState) *core.Access
	// fileRoots gives the directories that a Lorry may read from.
	fileRoots func(core.LorryState) []string
	// allowed limits what is fetched from: whether private addresses are denied,
	// and which pass for that; nil: all are allowed.
	allowed func() (denyPrivate bool, allow []string)
	// taken gives the path of the Lorry that has this one's place on the
	// Downstream Host, or ""; nil: never.
	taken  func(path string) string
	clock  core.Clock
	holder hostHolder // nil: none
	// retired knows the repositories that may be archived; nil: none is.
	retired retirements
	// confirm has an Upstream Host listed soon; nil: never.
	confirm func(ctx context.Context, host string) error

	// always tells the Downstream Host of every push, also when head and
	// description are as before: a directory's manifest follows the refs.
	always bool

	mu    sync.Mutex
	facts map[string]facts // by Lorry path
}

// facts are the adapters' last answers about one Lorry.
type facts struct {
	at     time.Time
	wish   core.Want
	have   core.Have
	repo   core.Repo
	access core.Access
	pushed core.Want // what AfterPush was last told
}

// Prepare implements minions.Preparer.
func (p *preparer) Prepare(ctx context.Context, l core.LorryState) (minions.Prepared, error) {
	if err := p.checkPlace(l.Path); err != nil {
		return minions.Prepared{}, err
	}
	known := p.recall(l)
	back, revive, err := p.revived(ctx, l.Path, &known)
	if err != nil {
		return minions.Prepared{}, err
	}
	fetch, err := p.fetchAccess(ctx, l, &known)
	if err != nil {
		return minions.Prepared{}, p.react(ctx, upstreamOf(l), err)
	}
	wish := core.Want{Path: l.Path, Head: l.ListedHead}
	wish.Description, wish.LFS = wishes(l)
	if known.repo.Head != "" {
		wish.Head = known.repo.Head
	}
	created := false
	if known.wish != wish {
		down, err := p.adapters.Downstream(adapter.DownstreamName)
		if err != nil {
			return minions.Prepared{}, fmt.Errorf("downstream host: %w", err)
		}
		asked := wish
		asked.Revive = revive
		have, err := down.EnsureRepo(ctx, asked)
		if err != nil {
			return minions.Prepared{}, p.react(ctx, theDownstream(), fmt.Errorf("preparing %q on the downstream host: %w", l.Path, err))
		}
		created = have.Created
		known.have, known.wish, known.at = have, wish, p.clock()
	}
	if why := known.have.ReadOnlyReason; why != "" {
		p.forget(l.Path)
		return minions.Prepared{}, &core.Error{
			Kind: core.KindReadOnly,
			Fact: fmt.Sprintf("%q can't be pushed to on the downstream host: %s", l.Path, why),
			Hint: "make the repository writable there, or remove the Lorry from CONFGIT",
		}
	}
	if back {
		if err := p.retired.ForgetRetirement(ctx, l.Path); err != nil {
			return minions.Prepared{}, err
		}
	}
	p.remember(l.Path, known)
	prepared := minions.Prepared{Fetch: fetch, Push: known.have.Access, PushOptions: known.have.PushOptions, FileRoots: p.fileRoots(l), Created: created}
	if p.allowed != nil {
		prepared.DenyPrivate, prepared.Allow = p.allowed()
	}
	return prepared, nil
}

// checkPlace refuses a Lorry that would be pushed to the repository of another
// one.
func (p *preparer) checkPlace(path string) error {
	if p.taken == nil {
		return nil
	}
	other := p.taken(path)
	if other == "" {
		return nil
	}
	return &core.Error{
		Kind: core.KindInvalid, Fact: fmt.Sprintf("%q mirrors to the same path as %q on the Downstream Host", path, other),
		Hint: "give one of the two another path in CONFGIT, or leave one out",
	}
}

// fetchAccess asks the Upstream Host for a generated Lorry and CONFGIT for one
// from a .lorry file.
func (p *preparer) fetchAccess(ctx context.Context, l core.LorryState, known *facts) (*core.Access, error) {
	configured := p.access(l)
	if l.Host == "" {
		return configured, nil
	}
	if known.repo.Path == "" {
		up, err := p.adapters.Upstream(l.Host)
		if err != nil {
			return nil, fmt.Errorf("upstream host %q: %w", l.Host, err)
		}
		repo, access, err := up.Repo(ctx, l.HostPath)
		if err != nil {
			return nil, fmt.Errorf("asking %q for %q: %w", l.Host, l.HostPath, err)
		}
		known.repo, known.access, known.at = repo, access, p.clock()
	}
	access := known.access
	if access.URL == "" {
		access.URL = known.repo.CloneURL
	}
	if configured != nil && access.Secret.Empty() {
		access.Username, access.Secret = configured.Username, configured.Secret
	}
	if configured != nil {
		access.SkipCertificates = access.SkipCertificates || configured.SkipCertificates
	}
	return &access, p.checkReach(l, access.URL)
}

// checkReach refuses a URL that leads into the minion's own file system unless
// the host is one whose repositories are there: what a forge answers must not
// make private directories into mirrors.
func (p *preparer) checkReach(l core.LorryState, url string) error {
	if !strings.HasPrefix(url, "file:") && !strings.HasPrefix(url, "/") || len(p.fileRoots(l)) > 0 {
		return nil
	}
	return &core.Error{
		Kind: core.KindInvalid, Fact: fmt.Sprintf("%q says that %q is cloned from %q, and only a host of type local may lead to directories", l.Host, l.HostPath, url),
		Hint: "correct the adapter's settings for clone URLs, or use a host of type local",
	}
}

// Pushed implements minions.Preparer.
func (p *preparer) Pushed(ctx context.Context, l core.LorryState, head string) error {
	want := core.Want{Path: l.Path, Head: head}
	want.Description, want.LFS = wishes(l)
	if want.Head == "" {
		want.Head = l.ListedHead
	}
	known := p.recall(l)
	if !p.always && (want.Head == "" && want.Description == "" || known.pushed == want) {
		return nil
	}
	down, err := p.adapters.Downstream(adapter.DownstreamName)
	if err != nil {
		return fmt.Errorf("downstream host: %w", err)
	}
	if err := down.AfterPush(ctx, want); err != nil {
		if core.KindOf(err) == core.KindNotFound {
			p.forget(l.Path) // the next job makes sure of it again
		}
		return p.react(ctx, theDownstream(), fmt.Errorf("finishing %q on the downstream host: %w", l.Path, err))
	}
	known.pushed = want
	p.remember(l.Path, known)
	return nil
}

// wishes are what the Downstream Host is to say of a Lorry, in the words of its
// Upstream Host or of its .lorry file, and whether objects of git-lfs may come.
func wishes(l core.LorryState) (description string, lfs bool) {
	specs, _ := spec.Parse("", []byte(l.Text)) // it was checked when CONFGIT was read
	if len(specs) == 1 {
		description, lfs = specs[0].Description, specs[0].LFS != spec.LFSNo
	}
	if l.Host != "" {
		description = l.ListedDescription
	}
	return description, lfs
}

// recall gives what is known of a Lorry, or nothing when that is too old, when
// the last job failed, or when a credential in it is about to expire.
func (p *preparer) recall(l core.LorryState) facts {
	p.mu.Lock()
	defer p.mu.Unlock()
	f, ok := p.facts[l.Path]
	now := p.clock()
	if !ok || l.LastFailure.Failed() || now.Sub(f.at) > factsMaxAge ||
		expires(f.have.ExpiresAt, now, l.Timeout) || expires(f.access.ExpiresAt, now, l.Timeout) {
		return facts{}
	}
	return f
}

// expires reports whether a credential may end before a job does.
func expires(at, now time.Time, needed time.Duration) bool {
	return !at.IsZero() && at.Before(now.Add(needed))
}

func (p *preparer) remember(path string, f facts) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.facts == nil {
		p.facts = map[string]facts{}
	}
	p.facts[path] = f
}

func (p *preparer) forget(path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.facts, path)
}

// forgetAll is called when the adapters' settings changed.
func (p *preparer) forgetAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.facts)
}
