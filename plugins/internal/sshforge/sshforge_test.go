package sshforge

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/sshfake"
)

func TestMain(m *testing.M) {
	sshfake.Relay()
	goleak.VerifyTestMain(m)
}

func client(t *testing.T, s *sshfake.Server, change func(*Options)) *Client {
	t.Helper()
	target, err := ParseURL(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	opts := Options{KnownHosts: s.KnownHosts(), IdentityFile: s.IdentityFile()}
	if change != nil {
		change(&opts)
	}
	c, err := New(target, opts)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRunGivesWhatTheFarSideSays(t *testing.T) {
	t.Parallel()
	s := sshfake.Serve(t, func(req sshfake.Request) sshfake.Answer {
		words, err := sshfake.Split(req.Command)
		if err != nil {
			return sshfake.Answer{Stderr: err.Error(), Exit: 3}
		}
		return sshfake.Answer{Stdout: strings.Join(words, "\n") + "\n"}
	})
	words := []string{"echo", "a b", `it's "quoted"`, `$(touch x); rm -rf ~ | cat > y &`, `back\slash`, "ümläut", "", "a/b.git", "*?[x]", "#no", "-n"}
	out, err := client(t, s, nil).Run(t.Context(), words...)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Join(words, "\n")+"\n", strings.ReplaceAll(string(out), "\r", "")); diff != "" {
		t.Errorf("words at the far side (-want +got):\n%s", diff)
	}
}

func TestExitCodeAndWordsReachTheCaller(t *testing.T) {
	t.Parallel()
	s := sshfake.Serve(t, func(sshfake.Request) sshfake.Answer {
		return sshfake.Answer{Stdout: "half\n", Stderr: "CRIT: no\n", Exit: 7}
	})
	out, err := client(t, s, nil).Run(t.Context(), "x")
	var exit *ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("error is %v, want an ExitError", err)
	}
	if diff := cmp.Diff(ExitError{Code: 7, Stderr: "CRIT: no\n"}, *exit); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if string(out) != "half\n" {
		t.Errorf("output is %q, want the half that came", out)
	}
}

func TestTroubleOnTheWayHasItsKind(t *testing.T) {
	t.Parallel()
	ok := func(sshfake.Request) sshfake.Answer { return sshfake.Answer{} }
	for name, tc := range map[string]struct {
		prepare func(*sshfake.Server)
		change  func(*sshfake.Server, *Options)
		kind    sdk.Kind
		fact    string
	}{
		"unknown host key": {
			change: func(_ *sshfake.Server, o *Options) { o.KnownHosts = os.DevNull },
			kind:   sdk.Unavailable, fact: "127.0.0.1: its ssh host key is not known",
		},
		"changed host key": {
			prepare: func(s *sshfake.Server) { _ = s.ChangeHostKey() },
			kind:    sdk.Unavailable, fact: "127.0.0.1: its ssh host key is not the one that is known",
		},
		"refused key": {
			change: func(s *sshfake.Server, o *Options) { o.IdentityFile = s.StrangersFile() },
			kind:   sdk.Unauthenticated, fact: "127.0.0.1: it refuses the ssh key",
		},
		"nobody there": {
			prepare: func(s *sshfake.Server) { _ = s.Close() },
			kind:    sdk.Unavailable, fact: "127.0.0.1: it refuses the connection for ssh",
		},
		"no ssh": {
			change: func(_ *sshfake.Server, o *Options) { o.Program = "no-such-program" },
			kind:   sdk.Unavailable, fact: `there is no ssh program: exec: "no-such-program": executable file not found in $PATH`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := sshfake.Serve(t, ok)
			c := client(t, s, func(o *Options) {
				if tc.change != nil {
					tc.change(s, o)
				}
			})
			if tc.prepare != nil {
				tc.prepare(s)
			}
			_, err := c.Run(t.Context(), "x")
			if err == nil {
				t.Fatal("no error")
			}
			if got := sdk.KindOf(err); got != tc.kind {
				t.Errorf("kind is %s, want %s (%v)", got, tc.kind, err)
			}
			if diff := cmp.Diff(tc.fact, err.Error()); diff != "" {
				t.Errorf("fact (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHangingCommandEndsWithItsContext(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	s := sshfake.Serve(t, func(sshfake.Request) sshfake.Answer {
		close(arrived)
		return sshfake.Answer{Hang: true}
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	if _, err := client(t, s, nil).Run(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want context.Canceled", err)
	}
	deadline := time.After(20 * time.Second)
	for tick := time.NewTicker(10 * time.Millisecond); s.Connections() > 0; {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the connection is still open")
		}
	}
}

func TestSilentServerIsGivenUp(t *testing.T) {
	t.Parallel()
	// It takes the connection and never says that it speaks ssh.
	s := silent(t)
	target, err := ParseURL("ssh://git@" + s)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(target, Options{KnownHosts: os.DevNull, ConnectTimeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Run(t.Context(), "x")
	if err == nil || sdk.KindOf(err) != sdk.Unavailable {
		t.Errorf("error is %v, want unavailable", err)
	}
}

func TestLeavingTheLoopEndsTheCommand(t *testing.T) {
	t.Parallel()
	s := sshfake.Serve(t, func(sshfake.Request) sshfake.Answer {
		return sshfake.Answer{Stdout: strings.Repeat("line\n", 100_000)}
	})
	seen := 0
	for _, err := range client(t, s, nil).Lines(t.Context(), "x") {
		if err != nil {
			t.Fatal(err)
		}
		if seen++; seen == 3 {
			break
		}
	}
	if seen != 3 {
		t.Errorf("saw %d lines, want 3", seen)
	}
}

func TestTooMuchOutputIsAnError(t *testing.T) {
	t.Parallel()
	s := sshfake.Serve(t, func(sshfake.Request) sshfake.Answer { return sshfake.Answer{Stdout: strings.Repeat("line\n", 1000)} })
	_, err := client(t, s, func(o *Options) { o.MaxOutput = 100 }).Run(t.Context(), "x")
	if err == nil || sdk.KindOf(err) != sdk.Internal {
		t.Errorf("error is %v, want internal", err)
	}
}

func TestTargetsThatSSHWouldMisread(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{
		"", "https://git.example.com/", "ssh://", "ssh://-oProxyCommand=x/", "ssh://-l@git.example.com/", "ssh://git:word@git.example.com/",
		"ssh://git.example.com:99999/", "ssh://git.example.com/?x", "ssh://a b/", "git@git.example.com:path", "ssh://%2doProxyCommand=x/",
	} {
		if target, err := ParseURL(raw); err == nil {
			t.Errorf("ParseURL(%q) gave %+v, want an error", raw, target)
		}
	}
	for raw, want := range map[string]string{
		"ssh://git@git.example.com/":         "ssh://git@git.example.com/a/b%20c",
		"ssh://git@git.example.com:2222/top": "ssh://git@git.example.com:2222/top/a/b%20c",
		"ssh://[2001:db8::1]":                "ssh://[2001:db8::1]/a/b%20c",
		"ssh://git@[2001:db8::1]:22":         "ssh://git@[2001:db8::1]:22/a/b%20c",
	} {
		target, err := ParseURL(raw)
		if err != nil {
			t.Errorf("ParseURL(%q): %v", raw, err)
			continue
		}
		if diff := cmp.Diff(want, target.URL("a/b c")); diff != "" {
			t.Errorf("URL below %q (-want +got):\n%s", raw, diff)
		}
	}
	for _, host := range []string{"", "-x", "a b", "a;b", "$(x)"} {
		if _, err := ParseHost(host, "git", 0); err == nil {
			t.Errorf("ParseHost(%q) gave no error", host)
		}
	}
}

func TestControlCharactersAreRefused(t *testing.T) {
	t.Parallel()
	for _, word := range []string{"a\nb", "a\x00b", "a\rb", "\x1b[1m", "\xff"} {
		if line, err := Quote("x", word); err == nil {
			t.Errorf("Quote(%q) gave %q, want an error", word, line)
		}
	}
	if got := OneLine(" two\nlines\t\x00 and\xff more "); got != "two lines and more" {
		t.Errorf("OneLine gave %q", got)
	}
}

func TestFilesThatSSHWouldExpand(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"relative", "~/key", "/a b", "/a%h", "/a$x", `/a"b`, "/a\nb"} {
		if len(CheckFiles(map[string]string{"ssh-identity-file": file})) == 0 {
			t.Errorf("%q was taken", file)
		}
		if _, err := New(Target{Host: "x"}, Options{IdentityFile: file}); err == nil {
			t.Errorf("New took %q", file)
		}
	}
}

func TestKnownHostsOfTheTarget(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "known_hosts")
	lines := []string{
		"# comment line here", "git.example.com ssh-ed25519 A1", "other.example.com ssh-ed25519 A2", "*.example.com,!git.example.com ssh-rsa A3",
		"[git.example.com]:2222 ssh-ed25519 A4", "*.com ssh-rsa A5", "@cert-authority *.example.com ssh-rsa A6", "@revoked git.example.com ssh-rsa A7",
		// ssh-keygen -H of "git.example.com ssh-ed25519 A8" and of another host.
		"|1|NBWt1EoXNFo8WQPT0rSmvEHI7tE=|" + hashed(t, "NBWt1EoXNFo8WQPT0rSmvEHI7tE=", "git.example.com") + " ssh-ed25519 A8",
		"|1|NBWt1EoXNFo8WQPT0rSmvEHI7tE=|" + hashed(t, "NBWt1EoXNFo8WQPT0rSmvEHI7tE=", "x.example.com") + " ssh-ed25519 A9",
		"|1|broken ssh-ed25519 A10", "short",
	}
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for port, want := range map[int][]string{0: {"A1", "A5", "A6", "A7", "A8"}, 2222: {"A4"}} {
		c, err := New(Target{Host: "GIT.example.com", Port: port}, Options{KnownHosts: file})
		if err != nil {
			t.Fatal(err)
		}
		text, err := c.KnownHosts()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for line := range strings.Lines(text) {
			fields := strings.Fields(line)
			got = append(got, fields[len(fields)-1])
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("port %d (-want +got):\n%s", port, diff)
		}
	}
}
