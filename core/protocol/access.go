package protocol

// TokenInfo is what is told of a token: never the token itself.
type TokenInfo struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Role  string `json:"role"`
	State string `json:"state"` // active, expired or revoked
	// Created, Expires, Revoked and LastUsed are Unix seconds, 0 for never.
	// LastUsed is true to an hour or so.
	Created  int64 `json:"created"`
	Expires  int64 `json:"expires"`
	Revoked  int64 `json:"revoked"`
	LastUsed int64 `json:"last_used"`
}

// Tokens answers GET /1.0/tokens.
type Tokens struct {
	Tokens []TokenInfo `json:"tokens"`
}

// NewToken answers POST /1.0/tokens. Token is shown this once.
type NewToken struct {
	TokenInfo
	Token string `json:"token"`
}

// AuditEntry is one row of the audit.
type AuditEntry struct {
	Seq int64 `json:"seq"`
	// Time is in Unix seconds; Micros is the same in microseconds, as the hash
	// covers it.
	Time    int64  `json:"time"`
	Micros  int64  `json:"time_us"`
	Who     string `json:"who"`
	From    string `json:"from"`
	Action  string `json:"action"`
	Subject string `json:"subject"`
	Before  string `json:"before"`
	After   string `json:"after"`
	Result  string `json:"result"`
	Hash    string `json:"hash"`
}

// AuditMark names a row of the audit and its hash.
type AuditMark struct {
	Seq  int64  `json:"seq"`
	Hash string `json:"hash"`
}

// Audit answers GET /1.0/audit.
type Audit struct {
	Entries []AuditEntry `json:"entries"`
	// Last is the last row that was written, Removed the last one that was
	// removed because of its age.
	Last    AuditMark `json:"last"`
	Removed AuditMark `json:"removed"`
}
