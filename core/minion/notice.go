package minion

import "github.com/lorry-controller/lorry-controller/core/protocol"

// notice tells the log, once each, that the controller speaks another version of
// the protocol, and that it wants this minion to drain. Both work: what the
// older side does not know is left out. It tells of jobs without a number, too:
// nothing could be reported of those.
func (w *worker) notice(answer protocol.Job) {
	w.mu.Lock()
	told, drained, known := w.skewed, w.drains, w.nameless
	nameless := 0
	if len(answer.Jobs) > 0 {
		nameless = len(answer.Jobs) - len(answer.All())
	}
	w.nameless = nameless > 0
	w.skewed, w.drains = answer.Version != protocol.Version, answer.Drain
	w.mu.Unlock()
	switch {
	case told || answer.Version == protocol.Version:
	case answer.Version > protocol.Version:
		w.Log.Warn("controller is newer than this minion: update the minion when convenient", "protocol", answer.Version, "own", protocol.Version)
	case answer.Version == 0:
		w.Log.Warn("controller is the original's: no waiting for jobs, no leases, no reports of single refs", "pause", w.Sleep)
	default:
		w.Log.Warn("controller is older than this minion: update the controller when convenient", "protocol", answer.Version, "own", protocol.Version)
	}
	if nameless > 0 && !known {
		w.Log.Warn("controller's answer names jobs without a job_id, they are left out", "jobs", nameless, "hint", "check that the URL is the controller's, and what stands between")
	}
	switch {
	case answer.Drain && !drained:
		w.Log.Info("controller wants this minion to drain: it takes no job until it may again")
	case !answer.Drain && drained:
		w.Log.Info("this minion takes jobs again")
	}
}
