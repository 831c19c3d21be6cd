package statedb_test

import (
	"fmt"

	"github.com/anishathalye/porcupine"

	"github.com/lorry-controller/lorry-controller/core"
)

// What the clients of a history do to the one Lorry that it is about.
const (
	opClaim  = "claim"
	opBeat   = "heartbeat"
	opFinish = "finish"
	opReturn = "hand back"
	opExpire = "expire"       // the upkeep ended that job as lost
	opQuiet  = "none expired" // the upkeep found no job to end
	opStop   = "stop job"
	opHold   = "hold"
	opResume = "resume"
	opRead   = "read"
)

// linearIn is a call, linearOut its answer; each kind has its own fields.
type linearIn struct {
	kind  string
	job   core.JobID
	fence core.Fence
}

type linearOut struct {
	job   core.JobID // 0: the claim got nothing
	fence core.Fence
	stale bool
	kill  bool
	kind  core.Kind // of an error
	// contended is set when a claim that got nothing may have met a lock.
	contended bool
	read      linearRead
}

// linearRead is what a reader sees of the Lorry.
type linearRead struct {
	running core.JobID
	held    bool
	digest  string
	exit    string
}

// linearState is the Lorry and its last job, as one after the other would see
// them. Its interval is 0, so it is due whenever nothing runs.
type linearState struct {
	linearRead
	last  core.JobID
	fence core.Fence
	kill  bool
	ended bool // the job last given out has ended
}

func (s linearState) mine(in linearIn) bool {
	return s.running != 0 && s.running == in.job && s.fence == in.fence
}

// end is the state after the running job's end.
func (s linearState) end(exit, digest string) linearState {
	if exit != "returned" || s.kill {
		s.exit = exit
	}
	s.running, s.kill, s.ended = 0, false, true
	s.digest = digest
	return s
}

func linearDigest(job core.JobID) string { return fmt.Sprintf("d%d", job) }

// linearModel says in which order calls and answers are right.
func linearModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return linearState{} },
		Step: func(state, input, output any) (bool, any) {
			return linearStep(state.(linearState), input.(linearIn), output.(linearOut))
		},
		DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
		DescribeState:     func(state any) string { return fmt.Sprintf("%+v", state) },
	}
}

func linearStep(s linearState, in linearIn, out linearOut) (bool, linearState) {
	switch in.kind {
	case opClaim:
		if out.job == 0 {
			return s.running != 0 || s.held || out.contended, s
		}
		ok := s.running == 0 && !s.held && out.job > s.last && out.fence == s.fence+1
		s.running, s.last, s.fence, s.ended = out.job, out.job, out.fence, false
		return ok, s
	case opBeat:
		return out.stale == !s.mine(in) && out.kill == (s.mine(in) && s.kill), s
	case opFinish, opReturn:
		if out.stale || !s.mine(in) {
			return out.stale && !s.mine(in), s
		}
		if in.kind == opReturn {
			return true, s.end("returned", "")
		}
		return true, s.end("0", linearDigest(in.job))
	case opExpire:
		return s.running == in.job, s.end("lost", "")
	case opQuiet:
		return s.running == 0, s
	case opStop:
		if s.running == in.job && in.job != 0 {
			s.kill = true
			return out.kind == "", s
		}
		return out.kind == core.KindConflict, s
	case opHold, opResume:
		s.held = in.kind == opHold
		return true, s
	case opRead:
		return out.read == s.linearRead, s
	}
	return false, s
}
