package retire

// State says in a word how far a retirement is.
type State string

const (
	// Waiting is about to be archived, or being archived now.
	Waiting State = "waiting"
	// Failing was refused, or its host did not answer; it is tried again.
	Failing State = "failing"
	// Archived is what the host has archived.
	Archived State = "archived"
	// Cancelled stays as it is, since an admin has said so.
	Cancelled State = "cancelled"
	// Returning has its Lorry back, whose next job makes it writable again.
	Returning State = "returning"
)

// States are all of them, for people who choose one.
func States() []State { return []State{Waiting, Failing, Archived, Cancelled, Returning} }

// Search selects retirements, in the order of their paths. Zero fields do not
// select.
type Search struct {
	Path  string
	State State
	After string // the last path of the page before
	Limit int    // at most so many; below 1 means all
	// Attempts is how often the host must have been asked at least.
	Attempts int
}

// Listed is a retirement as it stands now.
type Listed struct {
	Retirement
	State State
}

// Often is how many attempts in vain make a retirement a problem that people
// are told of.
const Often = 3
