package protocol

import "github.com/lorry-controller/lorry-controller/core"

// The types of the events of GET /1.0/events. Their data is one of the objects
// below.
const (
	EventReset = "reset" // EventStart: what came before is not known, read everything again
	EventHello = "hello" // EventStart: the stream begins
	EventQueue = "queue"
	EventJob   = "job"
	EventLorry = "lorry"
	// EventProgress has no id and is not kept: one that was missed is not told
	// again.
	EventProgress = "progress"
	EventHost     = "host"
	EventHold     = "hold"
	EventRewrite  = "rewrite"
	EventAdapter  = "adapter"
	EventMinion   = "minion"
	EventConfig   = "config"
)

// EventStart is the first event of a stream.
type EventStart struct {
	Version   string `json:"version"`   // the controller's
	Timestamp int64  `json:"timestamp"` // of its clock
}

// QueueEvent says that the queue's switch, its limit or its sizes have changed.
type QueueEvent struct {
	RunningQueue bool   `json:"running_queue"`
	MaxJobs      *int   `json:"max_jobs"`
	Counts       Counts `json:"counts"`
}

// JobEvent says that a job was started, is to be stopped, or has ended.
type JobEvent struct {
	JobID     core.JobID  `json:"job_id"`
	Path      string      `json:"path"`
	Minion    string      `json:"minion"`
	State     string      `json:"state"` // as in JobInfo
	Exit      string      `json:"exit"`
	Started   int64       `json:"started"`
	Ended     int64       `json:"ended"`
	Unchanged bool        `json:"unchanged"`
	Failure   FailureInfo `json:"failure"`
}

// ProgressEvent says how far a running job is.
type ProgressEvent struct {
	JobID    core.JobID   `json:"job_id"`
	Path     string       `json:"path"`
	Minion   string       `json:"minion"`
	Progress ProgressInfo `json:"progress"`
}

// LorryEvent says what has become of a Lorry.
type LorryEvent struct {
	Path        string           `json:"path"`
	State       string           `json:"state"` // running, held, failing, ok, new or gone
	Due         int64            `json:"due"`
	LastRun     int64            `json:"last_run"`
	LastSuccess int64            `json:"last_success"`
	Failures    int              `json:"failures"`
	Kind        core.FailureKind `json:"kind"` // of the last failure
	HeldReason  string           `json:"held_reason"`
}

// HostEvent says what has become of an Upstream Host.
type HostEvent struct {
	Host      string `json:"host"`
	State     string `json:"state"` // ok, failing or gone
	Listed    int    `json:"listed"`
	LsLastRun int64  `json:"ls_last_run"`
	LsDue     int64  `json:"ls_due"`
	LsError   string `json:"ls_error"`
	Purge     string `json:"purge"`
}

// HoldEvent says that a host is held, or, without a reason, that it is not any
// more.
type HoldEvent struct {
	Host   string `json:"host"`
	Reason string `json:"reason"`
	Until  int64  `json:"until"`
}

// RewriteEvent is about a rewritten ref that waits for an approval.
type RewriteEvent struct {
	Path  string `json:"path"`
	Ref   string `json:"ref"`
	Old   string `json:"old"`
	New   string `json:"new"`
	State string `json:"state"` // held, approved or gone
}

// AdapterEvent says that the adapter of a host is in another state.
type AdapterEvent struct {
	Name   string `json:"name"`
	Type   string `json:"type"`
	State  string `json:"state"` // as in Adapter, or gone
	Detail string `json:"detail"`
}

// MinionEvent says that a minion came, went, or drains or not.
type MinionEvent struct {
	Name     string   `json:"name"`
	Draining bool     `json:"draining"`
	Labels   []string `json:"labels"`
	State    string   `json:"state"` // known or gone
}

// ConfigEvent says that another CONFGIT is in force, or has other problems.
type ConfigEvent struct {
	Commit   string `json:"commit"`
	Problems int    `json:"problems"`
}

// OutputPart is a piece of a job's output, or, with Progress, how far the job
// is. State is set in the last one, when the job has ended.
type OutputPart struct {
	Offset   int64         `json:"offset"` // in bytes, of the text's beginning
	Text     string        `json:"text"`
	Progress *ProgressInfo `json:"progress,omitempty"`
	State    string        `json:"state,omitempty"`
	Exit     string        `json:"exit,omitempty"`
	Failure  *FailureInfo  `json:"failure,omitempty"`
}
