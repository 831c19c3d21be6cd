package importer

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
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

// progress passes git's messages on. Of the lines that overwrite each other on
// a terminal it shows one now and then, and the last.
type progress struct {
	out     io.Writer
	verbose bool
	clock   core.Clock
	shown   time.Time
}

func newProgress(out io.Writer, verbose bool, clock core.Clock) *progress {
	return &progress{out: out, verbose: verbose, clock: clock, shown: clock()}
}

// Write gets one line at a time, with its end.
func (p *progress) Write(line []byte) (int, error) {
	text := strings.TrimRight(string(line), " \r\n")
	transient := strings.HasSuffix(string(line), "\r")
	if strings.TrimSpace(text) == "" || !p.verbose && isNoise(text) {
		return len(line), nil
	}
	if transient {
		if now := p.clock(); now.Sub(p.shown) >= progressInterval {
			p.shown = now
		} else {
			return len(line), nil
		}
	}
	_, err := fmt.Fprintf(p.out, "   %s\n", text)
	return len(line), err
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
