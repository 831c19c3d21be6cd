package core

// Progress says how far a job is: what lorry tells while it works. Of a job only
// the latest is kept, and none of one that has ended.
type Progress struct {
	// Path names the Lorry where lines about several are mixed, as lorry
	// --porcelain writes them; "" in a job, which has its own.
	Path string `json:"path,omitempty"`
	// Phase is what is being done, in words, such as "Receiving objects".
	Phase string `json:"phase"`
	// Done and Total count objects or what the phase is about; Total 0 when it
	// is not known.
	Done  int64 `json:"done,omitempty"`
	Total int64 `json:"total,omitempty"`
	Bytes int64 `json:"bytes,omitempty"` // transferred so far
	Rate  int64 `json:"rate,omitempty"`  // bytes a second
	Refs  int   `json:"refs,omitempty"`  // that upstream has
	// RefsDone counts the refs of which it is known what became of them
	// downstream.
	RefsDone int `json:"refs_done,omitempty"`
}
