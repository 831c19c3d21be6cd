package adapter

import "time"

// Phase is what an adapter is doing.
type Phase string

// The phases: stopped → starting → ready → draining → stopped; a fault leads to
// backoff and from there to starting, too many of them to broken.
const (
	PhaseStopped  Phase = "stopped"
	PhaseStarting Phase = "starting"
	PhaseReady    Phase = "ready"
	PhaseDraining Phase = "draining"
	PhaseBackoff  Phase = "backoff"
	PhaseBroken   Phase = "broken"
)

// Doubt is what is not as it should be with a setting, though the adapter runs.
type Doubt struct {
	Setting string `json:"setting"`
	Text    string `json:"text"`
	Hint    string `json:"hint,omitempty"` // what a person can do, or ""
}

// State is how an adapter is, for pages, metrics and the API.
type State struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Role string `json:"role"`
	Path string `json:"path"`

	Phase Phase `json:"phase"`
	// Reason says why it is in this phase, or "".
	Reason string `json:"reason,omitempty"`
	// Hint says what a person can do, or is "".
	Hint  string    `json:"hint,omitempty"`
	Since time.Time `json:"since"`
	// NextStart is when it is started again, in backoff.
	NextStart time.Time `json:"next_start,omitzero"`

	// What the process said that it is; of the last one when none runs.
	PID        int    `json:"pid,omitempty"`
	Version    string `json:"version,omitempty"`
	SDKVersion string `json:"sdk_version,omitempty"`
	Summary    string `json:"summary,omitempty"`
	Checksum   string `json:"checksum,omitempty"`
	Protocol   int    `json:"protocol,omitempty"`

	Starts  int `json:"starts"`  // since the core has started
	Faults  int `json:"faults"`  // crashes and failed starts
	Calls   int `json:"calls"`   // running now
	Waiting int `json:"waiting"` // waiting for their turn

	// HeldUntil is until when the host is left alone, because it asked for it
	// (HeldKind "rate-limited") or refused the credentials ("unauthenticated");
	// zero when it is not. Reason says more.
	HeldUntil time.Time `json:"held_until,omitzero"`
	HeldKind  string    `json:"held_kind,omitempty"`
	// Checked is when the host was last looked at, and CheckError what was
	// wrong, or "".
	Checked       time.Time `json:"checked,omitzero"`
	CheckError    string    `json:"check_error,omitempty"`
	ServerVersion string    `json:"server_version,omitempty"`
	// Doubts are what of the settings is ignored, or had better be otherwise.
	Doubts []Doubt `json:"doubts,omitempty"`
	// Warnings are what the last look at the host found that should be mended
	// before it is an error, credentials that are about to end among them.
	Warnings []string `json:"warnings,omitempty"`
	// ExpiresAt is when the credentials stop working; zero when they don't, or
	// when the host does not tell.
	ExpiresAt time.Time `json:"expires_at,omitzero"`

	SkipCertificates bool `json:"skip_certificates,omitempty"`
}
