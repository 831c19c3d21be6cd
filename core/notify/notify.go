package notify

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
)

// Lane is a subject of messages. Each has its own pace, so that many failures do
// not keep an approval waiting.
type Lane string

// The lanes.
const (
	Failures  Lane = "failures"  // Lorries that fail, and that work again
	Approvals Lane = "approvals" // held rewrites and held removals
	Staleness Lane = "staleness" // Lorries that do not fail and are not equal to their upstream for long
	Adapters  Lane = "adapters"  // adapters that are broken
	Disk      Lane = "disk"      // too little room for new jobs
	// Credentials are those of hosts that are about to stop working, or did.
	Credentials Lane = "credentials"
)

// Lanes gives all lanes.
func Lanes() []Lane { return []Lane{Failures, Approvals, Staleness, Adapters, Disk, Credentials} }

// Notice is one thing that is not as it should be.
type Notice struct {
	Lane Lane
	// Subject is what it is about, such as the path of a Lorry: once in a lane.
	Subject string
	// Host and Cause make the group that it is told with; either may be "".
	Host, Cause string
	Detail      string // one line
	Since       time.Time
}

// Group names the group of a notice.
func (n Notice) Group() string { return string(n.Lane) + "|" + n.Host + "|" + n.Cause }

// Group is what all open notices of one lane, host and cause have become.
type Group struct {
	Name        string
	Lane        Lane
	Host, Cause string
	Opened      time.Time
	// ToldAt is when it was last told of, and Tells how often; Told is the
	// largest number of notices that was told.
	ToldAt time.Time
	Tells  int
	Told   int
	Sample []Item // of what was told first
	// Open and Untold count its notices now.
	Open, Untold int
}

// Outgoing is a message on its way to one target.
type Outgoing struct {
	ID       string
	Target   string
	Message  Message
	Created  time.Time
	Attempts int
	Next     time.Time // no try before
	Error    string    // of the last try
}

// Change is what one look at the STATEDB leads to. It is made whole or not at
// all.
type Change struct {
	Add    []Notice
	Remove []Notice
	// Groups are those that were told of: all their notices are told now.
	Groups []Group
	// Drop are groups that are over.
	Drop     []string
	Lane     Lane // the lane that was told of at At, or ""
	At       time.Time
	Messages []Outgoing
}

// Store keeps what is open and what was told. *statedb.DB has it.
type Store interface {
	// NewFailures gives failing Lorries that no notice is about, without those
	// that an admin stopped and those whose rewrite waits for an approval.
	NewFailures(ctx context.Context, limit int) ([]Notice, error)
	// NewStale gives Lorries that do not fail, are not held, and were last equal
	// to their upstream before a time, which no notice is about.
	NewStale(ctx context.Context, before time.Time, limit int) ([]Notice, error)
	// Recovered gives notices of the lanes Failures and Staleness that are over.
	Recovered(ctx context.Context, staleBefore time.Time, limit int) ([]Notice, error)
	// Notices gives those of one lane.
	Notices(ctx context.Context, lane Lane) ([]Notice, error)
	// NoticeGroups gives all groups, and when each lane was last told of.
	NoticeGroups(ctx context.Context) ([]Group, map[Lane]time.Time, error)
	// UntoldNotices gives some notices of a group that were not told yet, the oldest
	// first.
	UntoldNotices(ctx context.Context, group string, limit int) ([]Notice, error)
	// ChangeNotices applies a change in one transaction.
	ChangeNotices(ctx context.Context, c Change) error
	// Outbox gives the oldest messages to a target, and MessageTargets names all that
	// there are messages to.
	Outbox(ctx context.Context, target string, limit int) ([]Outgoing, error)
	MessageTargets(ctx context.Context) ([]string, error)
	// MessageSent forgets a message; RetryMessage sets when it is tried again.
	MessageSent(ctx context.Context, id string) error
	RetryMessage(ctx context.Context, o Outgoing) error
}

// Target is where messages go.
type Target interface {
	// Name tells one target from another; it holds no secret.
	Name() string
	// Send delivers one message, or says why it could not.
	Send(ctx context.Context, m Message) error
}

// Options are what a Notifier needs. Store, Clock, Log and NewID are required.
type Options struct {
	Store Store
	// Current gives what is not as it should be beyond Lorries that fail or are
	// out of date: all of it, each time.
	Current func(ctx context.Context) ([]Notice, error)
	Settings
	Clock core.Clock
	// NewID makes the names of messages.
	NewID func() string
	// Count is told how each delivery went: "sent", "failed" or "dropped". It
	// may be nil.
	Count func(target, result string)
	Log   hclog.Logger
}

// Settings say who is told of what, and when. They may be changed by Set.
type Settings struct {
	// Targets are told; without any nothing is looked at.
	Targets []Target
	// Lanes are told of; none means all.
	Lanes []Lane
	// Delay is how long a new group waits for more before it is told.
	Delay time.Duration
	// Digest is the shortest time between two messages of one lane.
	Digest time.Duration
	// StaleAfter is how long a mirror may not have been equal; 0 means that
	// nobody wants to know.
	StaleAfter time.Duration
}

const (
	// daily is how often a group that goes on growing is told of.
	daily = 24 * time.Hour
	// staleEvery is how often all Lorries are looked at for staleness.
	staleEvery = 5 * time.Minute
	// batch bounds the notices of one transaction.
	batch = 2000
	// rounds bounds the batches of one look, so that it ends.
	rounds = 100
	// maxSample is how many notices a message names of each group.
	maxSample = 10
	// maxGroups is how many groups a message names.
	maxGroups = 20
)

// Notifier looks at the STATEDB, decides what is told, and delivers it. One core
// at a time uses it.
type Notifier struct {
	o        Options
	settings atomic.Pointer[Settings]
	lookedAt time.Time // for staleness

	mu        sync.Mutex
	delivered map[string]bool // what the STATEDB still has, though it was sent
	forget    bool            // there may be messages to targets that are gone
}

// New makes a Notifier.
func New(o Options) (*Notifier, error) {
	if o.Store == nil || o.Clock == nil || o.Log == nil || o.NewID == nil {
		return nil, errors.New("notify: an option is missing")
	}
	if o.Count == nil {
		o.Count = func(string, string) {}
	}
	n := &Notifier{o: o, delivered: map[string]bool{}}
	n.Set(o.Settings)
	return n, nil
}

// Set changes the settings, from the next look and the next delivery on.
func (n *Notifier) Set(s Settings) {
	if len(s.Lanes) == 0 {
		s.Lanes = Lanes()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.settings.Store(&s)
	n.forget = true
}

// Targets gives the targets, whose messages Deliver sends.
func (n *Notifier) Targets() []Target { return n.settings.Load().Targets }

// forgetOnce forgets messages to nobody when the settings have changed.
func (n *Notifier) forgetOnce(ctx context.Context) error {
	n.mu.Lock()
	forget := n.forget
	n.forget = false
	n.mu.Unlock()
	if !forget {
		return nil
	}
	err := n.Forget(ctx)
	if err != nil {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.forget = true
	}
	return err
}
