package minion

import "github.com/lorry-controller/lorry-controller/core/protocol"

// notice tells the log, once each, that the controller speaks another version of
// the protocol, and that it wants this minion to drain. Both work: what the
// older side does not know is left out.
func (w *worker) notice(answer protocol.Job) {
	w.mu.Lock()
	told, drained := w.skewed, w.drains
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
	switch {
	case answer.Drain && !drained:
		w.Log.Info("controller wants this minion to drain: it takes no job until it may again")
	case !answer.Drain && drained:
		w.Log.Info("this minion takes jobs again")
	}
}
