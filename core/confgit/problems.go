package confgit

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
)

// How much is told of what is wrong, however much that is: nobody reads more,
// and it is all stored and shown.
const (
	mostProblems = 1000 // in all
	mostOfFile   = 10   // of one severity and one .lorry file
	mostOfConf   = 200  // the same of lorry-controller.conf
	mostMessage  = 400  // bytes
	mostKey      = 200  // bytes
)

// problemList collects problems. What is beyond the bounds is counted.
type problemList struct {
	told   []core.Problem
	counts map[problemsOf]int
	rank   map[string]int // how many there are of a severity
	beyond more
}

// more counts problems that are not told, and has the worst of their severities.
type more struct {
	count    int
	severity string
}

func (m *more) add(n int, severity string) {
	m.count += n
	if m.severity == "" || slices.Index(severities(), severity) < slices.Index(severities(), m.severity) {
		m.severity = severity
	}
}

type problemsOf struct{ file, severity string }

// most is how many of them are told one by one.
func (of problemsOf) most() int {
	if of.file == ConfFile {
		return mostOfConf
	}
	return mostOfFile
}

// severities are from the worst to the least.
func severities() []string {
	return []string{core.SeverityError, core.SeverityWarning, core.SeverityNotice}
}

func (l *problemList) add(p core.Problem) {
	if l.counts == nil {
		l.counts, l.rank = map[problemsOf]int{}, map[string]int{}
	}
	of := problemsOf{p.File, p.Severity}
	switch {
	case l.counts[of] >= of.most():
		l.counts[of]++
	case l.rank[p.Severity] >= mostProblems:
		l.beyond.add(1, p.Severity)
	default:
		l.rank[p.Severity]++
		l.counts[of]++
		l.told = append(l.told, told(p))
	}
}

// end gives the worst problems in their order, and how many more there are.
func (l *problemList) end() []core.Problem {
	var all []core.Problem
	worth := map[int]int{} // how many problems an index that is none itself stands for
	last := map[problemsOf]int{}
	for i, p := range l.told {
		last[problemsOf{p.File, p.Severity}] = i
	}
	for i, p := range l.told {
		of := problemsOf{p.File, p.Severity}
		if all = append(all, p); last[of] != i {
			continue
		}
		if n := l.counts[of] - of.most(); n > 0 {
			worth[len(all)] = n
			all = append(all, core.Problem{File: p.File, Severity: p.Severity, Message: fmt.Sprintf("and %d more like these in this file", n)})
		}
	}
	chosen, beyond := worst(all), l.beyond
	kept := all[:0]
	for i, p := range all {
		if chosen[i] {
			kept = append(kept, p)
			continue
		}
		beyond.add(cmp.Or(worth[i], 1), p.Severity)
	}
	return withMore(kept, beyond)
}

// Worst leaves the worst problems, in their order, when there are too many to
// be read by anybody, and says how many more there are.
func Worst(problems []core.Problem) []core.Problem {
	if len(problems) <= mostProblems {
		return problems
	}
	var kept []core.Problem
	var beyond more
	chosen := worst(problems)
	for i, p := range problems {
		if chosen[i] {
			kept = append(kept, p)
			continue
		}
		beyond.add(1, p.Severity)
	}
	return withMore(kept, beyond)
}

// worst chooses problems.
func worst(problems []core.Problem) []bool {
	room := mostProblems
	chosen := make([]bool, len(problems))
	for _, severity := range severities() {
		for i, p := range problems {
			if p.Severity == severity && room > 0 {
				chosen[i] = true
				room--
			}
		}
	}
	return chosen
}

func withMore(kept []core.Problem, beyond more) []core.Problem {
	text := fmt.Sprintf("there are %d more problems, none worse than these", beyond.count)
	switch beyond.count {
	case 0:
		return kept
	case 1:
		text = "there is 1 more problem, not worse than these"
	}
	return append(slices.Clip(kept), core.Problem{File: ConfFile, Severity: beyond.severity, Message: text})
}

// told gives a problem as it may be stored and shown: what it quotes may be
// long, or be a URL with a password that stands where none belongs.
func told(p core.Problem) core.Problem {
	p.Key, p.Message = shorten(childproc.Redact(p.Key), mostKey), shorten(childproc.Redact(p.Message), mostMessage)
	return p
}

// shorten leaves the beginning and the end of a text; what it quotes is between.
func shorten(text string, most int) string {
	if len(text) <= most {
		return text
	}
	const gap = " … "
	end := most / 4
	head, tail := text[:most-end-len(gap)], text[len(text)-end:]
	return strings.ToValidUTF8(head, "") + gap + strings.ToValidUTF8(tail, "")
}
