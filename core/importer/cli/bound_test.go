package cli

import (
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/core/importer"
)

// TestBounds holds that programs get no more memory and write no larger files
// than they may, and that the failure says so.
func TestBounds(t *testing.T) {
	t.Parallel()
	l := newLorry(t)
	// Larger than the limit by more than what this program takes itself. Files
	// are streamed, but git holds a whole commit in memory.
	message := strings.Repeat("a long message\n", 200<<20/15)
	commit := l.up.Stdin(message, "commit-tree", "-p", "refs/heads/main", "refs/heads/main^{tree}")
	l.up.Git("update-ref", "refs/heads/main", commit)
	l.up.Git("repack", "-adq")
	tests := []struct{ option, says string }{{"--max-file-size=100", "max-file-size"}}
	if !raceDetector { // which itself takes more memory
		tests = append(tests, struct{ option, says string }{"--max-memory=160M", "max-memory"})
	}
	for _, test := range tests {
		status, stdout, stderr := l.run("--pull-only", "-w", "work"+test.says, test.option, "thing.lorry")
		if status != importer.ExitFailed || !strings.Contains(stderr, test.says) {
			t.Errorf("%s: exit %d\n%s%s", test.option, status, stdout, stderr)
		}
	}
	if status, stdout, stderr := l.run("--pull-only", "-w", "work", "--max-memory=1500M", "--max-file-size=1G", "thing.lorry"); status != importer.ExitDone {
		t.Errorf("exit %d\n%s%s", status, stdout, stderr)
	}
}
