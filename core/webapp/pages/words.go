package pages

import (
	"fmt"
	"html/template"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
)

// badge is a state as a word on a colour.
type badge struct{ Class, Word string }

// pathLink is a Lorry's path, which is a link to its page unless it is plain.
type pathLink struct {
	Plain bool
	Path  string
}

// URL gives the path for the address of a page.
func (l pathLink) URL() string {
	parts := strings.Split(l.Path, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return strings.Join(parts, "/")
}

func (l pathLink) page() string { return "/1.0/lorry-html/" + l.URL() }

// functions are what the templates may call.
func functions() template.FuncMap {
	return template.FuncMap{
		"badge":       func(class, word string) badge { return badge{class, word} },
		"link":        func(plain bool, path string) pathLink { return pathLink{plain, path} },
		"ago":         ago,
		"span":        span,
		"size":        protocol.NiceSize,
		"took":        took,
		"plural":      plural,
		"short":       short,
		"severity":    severity,
		"hoststate":   hostState,
		"minionstate": minionState,
		"lastresult":  lastResult,
		"jobstate":    jobState,
		"refstate":    refState,
	}
}

// ago words how long before now something was, in Unix seconds.
func ago(now time.Time, at int64) string {
	if at == 0 {
		return "never"
	}
	passed := now.Sub(time.Unix(at, 0))
	if passed < time.Second {
		return "just now"
	}
	return protocol.NiceSpan(passed) + " ago"
}

// span words a length in seconds, without a smaller unit that is nought.
func span(seconds int64) string {
	text := protocol.NiceSpan(time.Duration(seconds) * time.Second)
	for _, nought := range []string{" 0 h", " 0 min", " 0 s"} {
		text = strings.TrimSuffix(text, nought)
	}
	return text
}

func took(now time.Time, j protocol.JobInfo) string {
	end := now
	if j.Ended != 0 {
		end = time.Unix(j.Ended, 0)
	}
	return protocol.NiceSpan(end.Sub(time.Unix(j.Started, 0)))
}

func plural(n int, one, many string) string {
	if n == 1 {
		return one
	}
	return many
}

// short cuts an object id to what people compare.
func short(id string) string {
	if len(id) > 12 {
		return id[:12]
	}
	if id == "" {
		return "–"
	}
	return id
}

func severity(s string) badge {
	switch s {
	case core.SeverityError:
		return badge{"bad", "error"}
	case core.SeverityWarning:
		return badge{"warn", "warning"}
	default:
		return badge{"info", s}
	}
}

func hostState(h protocol.HostInfo) badge {
	switch {
	case h.LsError != "":
		return badge{"bad", "listing failed"}
	case h.HeldReason != "":
		return badge{"warn", "held"}
	case h.Purge != "":
		return badge{"warn", "removals held"}
	case h.LsLastRun == 0:
		return badge{"info", "not listed yet"}
	default:
		return badge{"good", "listed"}
	}
}

func minionState(m protocol.Minion) badge {
	class := map[string]string{"idle": "good", "busy": "info", "draining": "warn", "drained": "warn", "no room": "bad", "silent": "bad"}[m.State]
	return badge{class, m.State}
}

func lastResult(l protocol.Lorry) badge {
	switch {
	case l.Failure.Kind != core.FailNone:
		return badge{"bad", "failed"}
	case l.LastRun == 0:
		return badge{"info", "not run yet"}
	default:
		return badge{"good", "succeeded"}
	}
}

func jobState(j protocol.JobInfo) badge {
	classes := map[string]string{
		"running": "info", "stopping": "warn", "succeeded": "good", "failed": "bad", "lost": "bad", "returned": "info",
	}
	return badge{classes[j.State], j.State}
}

func refState(status string) badge {
	switch status {
	case core.RefRejected:
		return badge{"bad", status}
	case core.RefHeld, core.RefForced, core.RefDeleted:
		return badge{"warn", status}
	default:
		return badge{"good", status}
	}
}

// asOnTerminal keeps of each line what a terminal would show at its end, so
// that progress which overwrites itself is one line.
func asOnTerminal(output string) string {
	lines := strings.Split(strings.ReplaceAll(output, "\r\n", "\n"), "\n")
	for i, line := range lines {
		line = strings.TrimRight(line, "\r")
		lines[i] = line[strings.LastIndexByte(line, '\r')+1:]
	}
	return strings.Join(lines, "\n")
}

// lastLine gives the last line that says something.
func lastLine(output string) string {
	const most = 160
	lines := strings.Split(asOnTerminal(output), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		line := []rune(strings.TrimSpace(lines[i]))
		if len(line) > most {
			return string(line[:most]) + "…"
		}
		if len(line) > 0 {
			return string(line)
		}
	}
	return ""
}

// visible replaces characters that act on a terminal, change the direction of
// text, or can't be seen, by something that can.
func visible(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	for _, r := range text {
		switch {
		case r == '\n' || r == '\t':
			b.WriteRune(r)
		case r < ' ':
			b.WriteRune('\u2400' + r) // the symbol for that control character
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r):
			fmt.Fprintf(&b, "[U+%04X]", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
