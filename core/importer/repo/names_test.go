package repo

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// TestValidName compares with what git says of the same names.
func TestValidName(t *testing.T) {
	t.Parallel()
	gittest.Require(t, "git")
	for _, name := range []string{
		"refs/heads/a", "refs/heads/a./b", "refs/heads/a.", "refs/heads/.a", "refs/heads/a/.b", "refs/heads/a..b", "refs/heads/a.lock", "refs/heads/a.lock/b",
		"refs/heads/a@{b", "refs/heads/@", "refs/heads/a b", "refs/heads/a\x1bb", "refs/heads/a\x7fb", "refs/heads/a~b", "refs/heads/a^b", "refs/heads/a:b", "refs/heads/a?b",
		"refs/heads/a*b", "refs/heads/a[b", `refs/heads/a\b`, "refs/heads/", "refs/heads//a", "refs/heads/a/", "refs", "@", "refs/heads/caf\xe9", "refs/heads/ü", "refs/heads/-a", "refs/heads/{", "/refs/heads/a",
	} {
		err := exec.Command("git", "check-ref-format", name).Run()
		if got := ValidName(name); got != (err == nil) {
			t.Errorf("%q: want %v, got %v", name, err == nil, got)
		}
	}
	for name, want := range map[string]bool{
		"refs/heads/" + strings.Repeat("a", 250): false, "refs/heads/" + strings.Repeat("a", 251): true, "refs/heads" + strings.Repeat("/aaa", 500): false, "refs/heads" + strings.Repeat("/aaa", 800): true,
	} {
		if got := TooLong(name); got != want {
			t.Errorf("%d bytes: want %v, got %v", len(name), want, got)
		}
	}
}
