package childproc

import (
	"errors"
	"strings"
	"testing"
)

// FuzzNothingIsPassedOver holds that a line which is not searched has nothing
// to be found.
func FuzzNothingIsPassedOver(f *testing.F) {
	f.Add("Authorization: x")
	f.Add("x-access-toKen= y")
	f.Add("private-to\u212Aen: Basic z")
	f.Add("https://a@b Receiving objects: 12% (1/8)")
	f.Fuzz(func(t *testing.T, line string) {
		if !mayAuthorize(line) && authorization.MatchString(line) {
			t.Errorf("%q is not searched for a credential", line)
		}
		if userinfo.MatchString(line) && !(strings.Contains(line, "//") && strings.Contains(line, "@")) {
			t.Errorf("%q is not searched for a user", line)
		}
	})
}

// TestTheEndOfLongOutputIsTold: a failure tells the last lines, whole and
// without secrets, however much came before them.
func TestTheEndOfLongOutputIsTold(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, script, want, not string }{
		{"lines", `i=0; while [ $i -lt 20000 ]; do echo "line $i topsecret"; i=$((i+1)); done >&2; exit 3`, "line 19999 [secret]", "topsecret"},
		{"one endless line", `head -c 200000 /dev/zero | tr '\0' x >&2; printf topsecret >&2; exit 3`, "", "secret"},
		{"progress", `i=0; while [ $i -lt 100 ]; do printf '%d%%\r' $i; i=$((i+1)); done >&2; echo 'fatal: it broke' >&2; exit 3`, "fatal: it broke", "topsecret"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			err := Run(t.Context(), Spec{Name: "/bin/sh", Args: []string{"-c", test.script}, Env: []string{"PATH=/usr/bin:/bin"}, Secrets: []string{"topsecret"}})
			var exit *ExitError
			if !errors.As(err, &exit) || exit.Code != 3 {
				t.Fatalf("got %v", err)
			}
			if !strings.HasSuffix(strings.TrimSpace(exit.Stderr), test.want) || strings.Contains(exit.Stderr, test.not) || len(exit.Stderr) > tailSize {
				t.Errorf("got %d bytes ending %q", len(exit.Stderr), exit.Stderr[max(0, len(exit.Stderr)-60):])
			}
		})
	}
}

// TestTooLongAnAnswerIsNone: git may have been told to write for ever.
func TestTooLongAnAnswerIsNone(t *testing.T) {
	t.Parallel()
	g := newGit(t)
	call := GitCall{Args: []string{"config", "--list"}, MaxOutput: 100}
	if out, err := g.Output(t.Context(), call); !errors.Is(err, ErrTooMuch) || out != "" {
		t.Errorf("got %d bytes, %v", len(out), err)
	}
	call.MaxOutput = 0
	if out, err := g.Output(t.Context(), call); err != nil || len(out) <= 100 {
		t.Errorf("got %q, %v", out, err)
	}
}
