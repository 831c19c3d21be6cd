package queue

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lorry-controller/lorry-controller/core"
)

// The exits that are not a minion's exit code.
const (
	exitOK       = "0"
	exitReturned = "returned"
	exitLost     = "lost"
)

const (
	// tailKept is how much of the end of a job's output is kept beyond the cap.
	tailKept = 16 << 10
	// factKept bounds the cause and the hint of a failure, in bytes.
	factKept = 2000
	// phaseKept bounds the phase of a progress, in bytes.
	phaseKept = 100
)

// verdict is the exit of a job that ended, and why it failed. What stopped a job
// explains its end better than the signal that it died of.
func verdict(r *running, p UpdateParams, now time.Time) (string, core.Failure) {
	stopped := core.Failure{Kind: core.FailKilled, Cause: "an admin stopped it"}
	switch wanted, lost := r.live.KillReason != core.FailKilled, p.Exit == exitLost && p.Failure.Kind == core.FailLost; {
	case p.Returned && wanted:
		return exitReturned, core.Failure{}
	case p.Returned: // nobody wants it to be done again at once
		return exitReturned, stopped
	case lost && wanted:
		return exitLost, p.Failure
	case lost:
		stopped.Cause += "; " + p.Failure.Cause
		return exitLost, stopped
	}
	f := core.Failure{
		Kind: core.FailureKind(clean(string(p.Failure.Kind))), Cause: clip(p.Failure.Cause), Hint: clip(p.Failure.Hint),
		RetryAfter: p.Failure.RetryAfter,
	}
	code, err := strconv.Atoi(p.Exit)
	switch {
	case err != nil:
		code = 1
		if f.Kind == core.FailNone {
			f = core.Failure{Kind: core.FailOther, Cause: fmt.Sprintf("the minion reported no exit code but %q", clip(p.Exit))}
		}
	case code == 0:
		return exitOK, core.Failure{}
	}
	vague := f.Kind == core.FailNone || f.Kind == core.FailOther || f.Kind == core.FailKilled
	switch {
	case r.live.KillReason == core.FailTimeout, vague && r.live.KillReason == "" && r.overran(now):
		if f.Kind != core.FailTimeout {
			f = core.Failure{
				Kind:  core.FailTimeout,
				Cause: fmt.Sprintf("it ran longer than its lorry-timeout of %s", r.live.Lorry.Timeout),
				Hint:  "set a longer lorry-timeout for its section in CONFGIT if the repository is that large",
			}
		}
	case r.live.KillReason == core.FailKilled && (vague || f.Kind == core.FailTimeout):
		f = stopped
	case f.Kind == core.FailNone && code < 0:
		f = core.Failure{Kind: core.FailOther, Cause: fmt.Sprintf("lorry was ended by signal %d", -code)}
	case f.Kind == core.FailNone:
		f = core.Failure{Kind: core.FailOther, Cause: fmt.Sprintf("lorry ended with exit code %d", code)}
	}
	return strconv.Itoa(code), f
}

// append adds to the output, up to the cap. What is beyond it is counted, and
// the text says that it is missing; the end of a job's last output is kept,
// since that is where the error is.
func (r *running) append(text string, limit int64, last bool) {
	text = clean(text)
	if text == "" {
		return
	}
	r.live.Job.OutputSize += int64(len(text))
	kept := r.live.OutputKept + int64(len(r.output))
	room := limit - kept
	if room >= int64(len(text)) {
		r.output += text
		return
	}
	if room >= 0 { // beyond the cap only once it was cut
		cut := runeStart(text, int(room))
		r.output += text[:cut] + fmt.Sprintf("\n[output cut here: of each job the first %d bytes are kept]\n", limit)
		text = text[cut:]
	}
	if last {
		if skip := len(text) - tailKept; skip > 0 {
			text = text[runeStart(text, skip):]
		}
		r.output += text
	}
}

// runeStart is the last position at or before n where a character begins.
func runeStart(s string, n int) int {
	for n > 0 && n < len(s) && !utf8.RuneStart(s[n]) {
		n--
	}
	return n
}

// clean makes text that every database takes.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

func clip(s string) string {
	s = clean(s)
	if len(s) > factKept {
		s = s[:runeStart(s, factKept)] + "…"
	}
	return s
}

func cleanRefs(refs []core.RefResult) []core.RefResult {
	var out []core.RefResult
	for _, r := range refs {
		out = append(out, core.RefResult{Ref: clean(r.Ref), Old: clean(r.Old), New: clean(r.New), Status: clean(r.Status), Reason: clip(r.Reason)})
	}
	return out
}

// cleanProgress is what is kept of what a minion says of a job: no text of any
// length, and no number below 0.
func cleanProgress(p core.Progress) *core.Progress {
	p.Path, p.Phase = "", clean(p.Phase)
	if len(p.Phase) > phaseKept {
		p.Phase = p.Phase[:runeStart(p.Phase, phaseKept)] + "…"
	}
	for _, n := range []*int64{&p.Done, &p.Total, &p.Bytes, &p.Rate} {
		*n = max(*n, 0)
	}
	p.Refs, p.RefsDone = max(p.Refs, 0), max(p.RefsDone, 0)
	return &p
}
