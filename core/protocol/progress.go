package protocol

import (
	"fmt"

	"github.com/lorry-controller/lorry-controller/core"
)

// ProgressInfo is how far a running job is, as the API shows it.
type ProgressInfo struct {
	Phase    string `json:"phase"`     // what is being done, in words
	Done     int64  `json:"done"`      // objects, or what the phase is about
	Total    int64  `json:"total"`     // 0 when it is not known
	Bytes    int64  `json:"bytes"`     // transferred so far
	Rate     int64  `json:"rate"`      // bytes a second
	Refs     int    `json:"refs"`      // that upstream has
	RefsDone int    `json:"refs_done"` // of which it is known what became of them
	Text     string `json:"text"`      // all of it, for people
}

// ProgressOf shows progress; none is nil.
func ProgressOf(p *core.Progress) *ProgressInfo {
	if p == nil {
		return nil
	}
	return &ProgressInfo{
		Phase: p.Phase, Done: p.Done, Total: p.Total, Bytes: p.Bytes, Rate: p.Rate, Refs: p.Refs, RefsDone: p.RefsDone,
		Text: NiceProgress(*p),
	}
}

// NiceProgress words progress, such as "Receiving objects: 45% (450 of 1000),
// 1.5 MiB, 3.0 MiB/s, 2 of 7 refs".
func NiceProgress(p core.Progress) string {
	text := p.Phase
	if text == "" {
		text = "working"
	}
	switch {
	case p.Total > 0:
		// Not Done*100/Total: a minion can send any number.
		text += fmt.Sprintf(": %.0f%% (%d of %d)", min(float64(p.Done)/float64(p.Total)*100, 100), p.Done, p.Total)
	case p.Done > 0:
		text += fmt.Sprintf(": %d", p.Done)
	}
	if p.Bytes > 0 {
		text += ", " + NiceSize(p.Bytes)
	}
	if p.Rate > 0 {
		text += ", " + NiceSize(p.Rate) + "/s"
	}
	switch {
	case p.Refs > 0 && p.RefsDone > 0:
		text += fmt.Sprintf(", %d of %d refs", p.RefsDone, p.Refs)
	case p.Refs == 1:
		text += ", 1 ref"
	case p.Refs > 0:
		text += fmt.Sprintf(", %d refs", p.Refs)
	}
	return text
}
