package protocol

// Retirement is a repository downstream that is to be archived, or is, since
// its Lorry went away.
type Retirement struct {
	Path string `json:"path"`
	// State is waiting, failing, archived, cancelled, or returning when the
	// Lorry is back.
	State    string `json:"state"`
	Attempts int    `json:"attempts"` // how often the host was asked
	Next     int64  `json:"next"`     // when it is asked again; 0: at once, or not again
	Error    string `json:"error"`    // why the last attempt failed, or ""
	Archived int64  `json:"archived"` // when the host had archived it, or 0
}

// Retirements is the answer of GET /1.0/retirements.
type Retirements struct {
	Retirements []Retirement `json:"retirements"`
	Next        string       `json:"next"` // cursor of the next page; "" at the end
}
