package reconcile

import (
	"context"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// Store is what reconciling needs of the STATEDB. Each call is one short
// transaction; callers hand over at most some hundred Lorries at a time. What is to
// be changed under a turn (TurnOf) that is over is refused with ErrOvertaken.
type Store interface {
	// Turn gives the number of the turn that was taken last under a name; 0 before
	// the first one.
	Turn(ctx context.Context, name string) (int64, error)
	// TakeTurn takes the next turn, and gives its number. It is ErrOvertaken when
	// the last one is not the one that was seen; a negative number is any.
	TakeTurn(ctx context.Context, name string, seen int64) (int64, error)

	// ConfigCommit is the commit of CONFGIT that was applied last, or "".
	ConfigCommit(ctx context.Context) (string, error)
	// SetConfig records the applied commit and replaces the list of problems.
	SetConfig(ctx context.Context, commit string, problems []core.Problem) error

	// Sections names the sections that have Lorries.
	Sections(ctx context.Context) ([]string, error)
	// SectionLorries gives a section's Lorries in the order of their paths,
	// those after the given path, at most limit. Ones that only wait for the
	// end of their job (Removed) are left out.
	SectionLorries(ctx context.Context, section, after string, limit int) ([]core.Lorry, error)
	// PutLorries adds new Lorries, due at once, and updates known ones without
	// touching their running state. A known path is moved to the new section.
	PutLorries(ctx context.Context, lorries []core.Lorry) error
	// PutLorriesDue does the same with the first due time of each, should it be
	// new, in the same order.
	PutLorriesDue(ctx context.Context, lorries []core.Lorry, due []time.Time) error
	// SetRetire records what is done with the downstream repositories of each
	// section's Lorries when they go away. Sections that are not named keep
	// what they have: a section that goes away takes its Lorries with it.
	SetRetire(ctx context.Context, policies map[string]core.RetirePolicy) error
	// RemoveLorries removes Lorries; one whose job runs goes when it ends. In
	// the same transaction it notes what is to be archived downstream.
	RemoveLorries(ctx context.Context, paths []string) error

	// PutHosts makes the given hosts the known ones. New ones are due for
	// listing at once; known ones keep their times. Others are removed, their
	// Lorries are not (RemoveLorries does that).
	PutHosts(ctx context.Context, hosts []core.Host) error
	Hosts(ctx context.Context) ([]core.HostState, error)
	// HostListed records the outcome of a listing. After a complete one before whose
	// end another was asked for, the host is due at once.
	HostListed(ctx context.Context, outcome HostOutcome) error
	// AskListing makes hosts due at once; those that are not known are left out.
	AskListing(ctx context.Context, hosts []string) error

	// HeldPurge gives the removals of a host that are held back; a zero one
	// when none are.
	HeldPurge(ctx context.Context, host string) (HeldPurge, error)
	// SetHeldPurge records them; a zero one lapses them. A host that is not
	// known is core.KindNotFound.
	SetHeldPurge(ctx context.Context, host string, p HeldPurge) error
}

// HeldPurge is about a host whose listing lacked more than is likely.
type HeldPurge struct {
	Missing int       // Lorries that it lacked
	Digest  string    // of their paths
	Seen    int       // complete listings in a row that lacked just those and counted
	Since   time.Time // when the first of these was
	Counted time.Time // when the last one was
}

// HostOutcome is what came of listing one Upstream Host.
type HostOutcome struct {
	Name string
	At   time.Time
	// Next is when the host is due again.
	Next time.Time
	// Complete is set when the listing ended well; LsLast and Listed are kept
	// as they were otherwise.
	Complete bool
	Listed   int
	// Asked is that of the HostState before the listing.
	Asked int64
	// Error says why the listing failed, or "".
	Error string
	// Purge says that removals are held back, and why, or "".
	Purge string
}
