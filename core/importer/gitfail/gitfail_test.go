package gitfail

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
)

func TestFrom(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		stderr string
		place  Place
		want   core.FailureKind
	}{
		{"fatal: Authentication failed for 'https://example.com/x/'", Upstream, core.FailAuth},
		{"fatal: could not read Username for 'https://example.com': terminal prompts disabled", Upstream, core.FailAuth},
		{"git@example.com: Permission denied (publickey).\nfatal: Could not read from remote repository.", Downstream, core.FailAuth},
		{"fatal: unable to access 'https://example.com/x/': The requested URL returned error: 403", Upstream, core.FailAuth},
		{"fatal: repository 'https://example.com/x/' not found", Upstream, core.FailGone},
		{"fatal: '/srv/x' does not appear to be a git repository\nfatal: Could not read from remote repository.", Upstream, core.FailGone},
		{"ERROR: Repository not found.\nfatal: Could not read from remote repository.", Upstream, core.FailGone},
		{"fatal: unable to access 'http://example.com/x/': The requested URL returned error: 302", Upstream, core.FailGone},
		{"fatal: unable to access 'https://example.com/x/': The requested URL returned error: 429", Upstream, core.FailRateLimited},
		{"fatal: unable to access 'https://example.com/x/': server certificate verification failed. CAfile: none CRLfile: none", Upstream, core.FailTLS},
		{"fatal: unable to access 'https://example.com/x/': SSL certificate problem: self-signed certificate", Upstream, core.FailTLS},
		{"No ED25519 host key is known for example.com and you have requested strict checking.\nHost key verification failed.\nfatal: Could not read from remote repository.", Upstream, core.FailHostKey},
		{"@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.", Upstream, core.FailHostKey},
		{"fatal: unable to access 'https://example.com/x/': Could not resolve host: example.com", Upstream, core.FailNetwork},
		{"fatal: unable to access 'https://example.com/x/': Operation too slow. Less than 1000 bytes/sec", Upstream, core.FailNetwork},
		{"error: RPC failed; curl 18 transfer closed\nfatal: early EOF\nfatal: fetch-pack: invalid index-pack output", Upstream, core.FailNetwork},
		{"fatal: https://example.com/info/refs not valid: is this a git repository?", Upstream, core.FailNotGit},
		{"fatal: protocol error: bad line length character: <htm", Upstream, core.FailNotGit},
		{"fatal: couldn't find remote ref refs/heads/x", Upstream, core.FailEmpty},
		{"remote: fatal: unable to read tree abc\nremote: aborting due to possible repository corruption on the remote side.\nfatal: early EOF", Upstream, core.FailCorrupt},
		{"error: object abc: hasDotgit: contains '.git'\nfatal: fsck error in packed object\nfatal: fetch-pack: invalid index-pack output", Upstream, core.FailCorrupt},
		{"fatal: write error: No space left on device\nfatal: fetch-pack: invalid index-pack output", Upstream, core.FailDisk},
		{"remote: fatal: write error: No space left on device\nerror: remote unpack failed: index-pack abnormal exit", Downstream, core.FailDisk},
		{"fatal: transport 'ext' not allowed", Upstream, core.FailSpec},
		{"fatal: protocol error: unexpected capabilities^{}\nfatal: the remote end hung up unexpectedly", Downstream, core.FailSpec},
		{"fatal: mismatched algorithms: client sha1; server sha256", Downstream, core.FailSpec},
		{"fatal: the receiving end does not support this repository's hash algorithm", Downstream, core.FailSpec},
		{"remote: GitLab: LFS objects are missing. Ensure LFS is properly set up.", Downstream, core.FailLFS},
		{"remote: error: hook declined to update refs/heads/main", Downstream, core.FailRefused},
		{"error: cannot lock ref 'refs/heads/x': File exists", Downstream, core.FailRefused},
		{"error: RPC failed; HTTP 413 curl 22 The requested URL returned error: 413\nfatal: the remote end hung up unexpectedly", Downstream, core.FailRefused},
		{"something quite new", Upstream, core.FailOther},
	} {
		t.Run(test.stderr[:min(40, len(test.stderr))], func(t *testing.T) {
			t.Parallel()
			got := From(&childproc.ExitError{Program: "git", Code: 128, Stderr: test.stderr + "\n"}, test.place)
			if got.Kind != test.want {
				t.Errorf("want %q, got %+v", test.want, got.Failure)
			}
			if strings.Contains(got.Cause, "\n") || !strings.HasPrefix(got.Cause, string(got.Place)+": ") || strings.Contains(got.Cause, "fatal:") {
				t.Errorf("cause %q", got.Cause)
			}
		})
	}
}

func TestFromOtherErrors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		want core.FailureKind
	}{
		{fmt.Errorf("x: %w", context.DeadlineExceeded), core.FailTimeout},
		{fmt.Errorf("x: %w", context.Canceled), core.FailKilled},
		{&childproc.ExitError{Program: "git", Err: ErrStopped, Stderr: "fatal: early EOF"}, core.FailKilled},
		{&childproc.NotInstalledError{Program: "git", Package: "git"}, core.FailTool},
		{&childproc.ExitError{Program: "git", Code: -1, Signal: 9}, core.FailTool},
		{fmt.Errorf("write: no space left on device"), core.FailDisk},
		{New(core.FailLFS, Upstream, "", "kept"), core.FailLFS},
	} {
		if got := From(test.err, Local); got.Kind != test.want {
			t.Errorf("%v: want %q, got %q", test.err, test.want, got.Kind)
		}
	}
}

// TestEveryKindHasAHint holds that nobody is left alone with a cause.
func TestEveryKindHasAHint(t *testing.T) {
	t.Parallel()
	var without []core.FailureKind
	for _, r := range rules() {
		if r.hint == "" && Hint(r.kind, Upstream) == "" && r.kind != core.FailSpec {
			without = append(without, r.kind)
		}
	}
	if diff := cmp.Diff([]core.FailureKind(nil), without); diff != "" {
		t.Error(diff)
	}
}

func FuzzFrom(f *testing.F) {
	f.Add("fatal: unable to access 'https://example.com/x/': The requested URL returned error: 429\nRetry-After: 120\n")
	f.Add("remote: fatal: write error: No space left on device\r\nerror: remote unpack failed\n")
	f.Fuzz(func(t *testing.T, stderr string) {
		for _, place := range []Place{Upstream, Downstream, Local} {
			e := From(&childproc.ExitError{Program: "git", Code: 128, Stderr: stderr}, place)
			if e.Kind == core.FailNone || e.Cause == "" || strings.ContainsAny(e.Cause, "\n") || len(e.Cause) > 600 || e.RetryAfter < 0 {
				t.Errorf("%q: %+v", stderr, e.Failure)
			}
		}
	})
}

func TestHowLongToWait(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"remote: Too many requests. Retry-After: 120":                                 120,
		"warning: rate limited, waiting 30 seconds before retry\nfatal: HTTP 429":     30,
		"remote: Rate limit exceeded, try again in 45s.":                              45,
		"remote: rate limit: please wait 7 seconds":                                   7,
		"fatal: unable to access 'https://example.com/x/': returned error: 429":       0,
		"remote: rate limit of 5000 requests reached":                                 0,
		"fatal: HTTP request failed, Too many requests, retry in 99999999999 seconds": 0,
	} {
		e := From(&childproc.ExitError{Program: "git", Code: 128, Stderr: text + "\n"}, Upstream)
		if e.Kind != core.FailRateLimited && want > 0 || e.RetryAfter != want {
			t.Errorf("%q: want %d, got %+v", text, want, e.Failure)
		}
	}
}
