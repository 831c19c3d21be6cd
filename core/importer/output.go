package importer

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
)

// maxRefLines bounds the table of refs in a job's output.
const maxRefLines = 200

// printRefs writes what became of each ref, refused ones first.
func printRefs(out io.Writer, refs []core.RefResult, wanted int) {
	if len(refs) == 0 {
		fmt.Fprintf(out, ".. all %d refs were there already\n", wanted)
		return
	}
	lines := 0
	print := func(refused bool) {
		for _, r := range refs {
			if (r.Status == core.RefRejected || r.Status == core.RefHeld) != refused {
				continue
			}
			if lines++; lines > maxRefLines {
				continue
			}
			fmt.Fprintf(out, "   %-8s %s %s", r.Status, r.Ref, span(r))
			if r.Reason != "" {
				fmt.Fprintf(out, " (%s)", r.Reason)
			}
			fmt.Fprintln(out)
		}
	}
	print(true)
	print(false)
	if lines > maxRefLines {
		fmt.Fprintf(out, "   … and %d more refs\n", lines-maxRefLines)
	}
}

func span(r core.RefResult) string {
	if r.New == "" {
		return fmt.Sprintf("was %.12s", r.Old)
	}
	if r.Old == "" {
		return fmt.Sprintf("%.12s", r.New)
	}
	return fmt.Sprintf("%.12s..%.12s", r.Old, r.New)
}

// progressInterval is the least time between two lines of one transfer.
const progressInterval = 5 * time.Second

// liveInterval is the same on a terminal.
const liveInterval = 200 * time.Millisecond

// tellInterval is the same for structured progress.
const tellInterval = time.Second

// progress passes git's messages on. Of the lines that overwrite each other on
// a terminal it shows one now and then, and the last; on a terminal they
// overwrite each other here too.
type progress struct {
	out      io.Writer
	verbose  bool
	terminal bool
	tell     func(protocol.Progress) // or nil
	all      io.Writer               // gets every line, shown or not; or nil
	path     string
	refs     int // that upstream has
	done     int // of which it is known what became of them
	clock    core.Clock
	shown    time.Time
	told     time.Time

	mu    sync.Mutex
	width int // of the line that is to be overwritten
}

func newProgress(out io.Writer, verbose bool, clock core.Clock) *progress {
	return &progress{out: out, verbose: verbose, clock: clock, shown: clock()}
}

// Write gets one line at a time, with its end.
func (p *progress) Write(line []byte) (int, error) {
	if p.all != nil {
		_, _ = p.all.Write(line)
	}
	text := strings.TrimRight(string(line), " \r\n")
	transient := strings.HasSuffix(string(line), "\r")
	if strings.TrimSpace(text) == "" {
		return len(line), nil
	}
	p.report(text, transient)
	if p.terminal && transient {
		if p.done > 0 && p.refs > p.done {
			text += fmt.Sprintf(", %d of %d refs", p.done, p.refs)
		}
		return len(line), p.overwrite(text)
	}
	if !p.verbose && isNoise(text) {
		return len(line), nil
	}
	if transient {
		if now := p.clock(); now.Sub(p.shown) >= progressInterval {
			p.shown = now
		} else {
			return len(line), nil
		}
	}
	p.wipe()
	_, err := fmt.Fprintf(p.out, "   %s\n", text)
	return len(line), err
}

// wipe removes a line that nothing overwrites any more.
func (p *progress) wipe() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.width > 0 {
		fmt.Fprintf(p.out, "%s\r", strings.Repeat(" ", p.width))
	}
	p.width = 0
}

// beside writes other lines to the same place.
func (p *progress) beside() io.Writer {
	return writerFunc(func(b []byte) (int, error) {
		p.wipe()
		return p.out.Write(b)
	})
}

// writerFunc is a function that is an io.Writer.
type writerFunc func([]byte) (int, error)

// Write implements io.Writer.
func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// overwrite shows a line that the next one overwrites.
func (p *progress) overwrite(text string) error {
	now := p.clock()
	if now.Sub(p.shown) < liveInterval {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	pad := strings.Repeat(" ", max(0, p.width-3-len(text)))
	p.shown, p.width = now, 3+len(text)
	_, err := fmt.Fprintf(p.out, "   %s%s\r", text, pad)
	return err
}

// report tells structured progress, the last of each phase always.
func (p *progress) report(text string, transient bool) {
	if p.tell == nil {
		return
	}
	step, ok := parseProgress(text)
	now := p.clock()
	if !ok || transient && now.Sub(p.told) < tellInterval {
		return
	}
	p.told = now
	step.Path, step.Refs, step.RefsDone = p.path, p.refs, p.done
	p.tell(step)
}

// phase tells that something else begins.
func (p *progress) phase(what string) {
	if p.tell != nil {
		p.tell(protocol.Progress{Path: p.path, Phase: what, Refs: p.refs, RefsDone: p.done})
	}
}

// refsAre tells of how many refs it is known now what became of them.
func (p *progress) refsAre(done int) {
	if done != p.done {
		p.done = done
		p.phase("pushing")
	}
}

// steps is what git says of its progress.
var steps = regexp.MustCompile(`^(?:remote: )?([A-Z][a-z]+(?: [a-z]+){0,2}): +(?:(\d+)% \((\d+)/(\d+)\)|(\d+))(?:, ([0-9.]+) (bytes|[KMGT]iB)(?: \| ([0-9.]+) (bytes|[KMGT]iB)/s)?)?`)

// parseProgress reads a line such as "Receiving objects:  45% (450/1000), 1.20
// MiB | 3.40 MiB/s".
func parseProgress(line string) (protocol.Progress, bool) {
	m := steps.FindStringSubmatch(line)
	if m == nil {
		return protocol.Progress{}, false
	}
	number := func(text string) int64 {
		n, _ := strconv.ParseInt(text, 10, 64) // 0 for none
		return n
	}
	p := protocol.Progress{Phase: m[1], Done: number(m[3]), Total: number(m[4]), Bytes: bytesOf(m[6], m[7]), Rate: bytesOf(m[8], m[9])}
	if m[5] != "" {
		p.Done = number(m[5])
	}
	return p, true
}

func bytesOf(number, unit string) int64 {
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || n > 1<<40 {
		return 0
	}
	for _, u := range []string{"bytes", "KiB", "MiB", "GiB", "TiB"} {
		if u == unit {
			return int64(min(n, 1<<62))
		}
		n *= 1024
	}
	return 0
}

// isNoise knows the lines that say nothing about the result.
func isNoise(text string) bool {
	text = strings.TrimPrefix(text, "remote: ")
	for _, prefix := range []string{
		"Enumerating objects", "Counting objects", "Compressing objects", "Delta compression", "Total ", "Resolving deltas", "Writing objects",
		"Unpacking objects", "Cloning into", "From ", "To ", " * [new", "Everything up-to-date", "Checking connectivity",
	} {
		if strings.HasPrefix(text, prefix) {
			return true
		}
	}
	// Per-ref lines of a fetch ("   abc..def main -> main"): the table says it.
	return strings.Contains(text, " -> ")
}
