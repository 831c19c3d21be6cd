package gitanossh

import (
	"bufio"
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"

	"github.com/lorry-controller/lorry-controller/plugins/internal/httpforge"
	"github.com/lorry-controller/lorry-controller/plugins/internal/sshforge"
	"github.com/lorry-controller/lorry-controller/sdk"
)

// runner runs Gitano commands somewhere. A command that Gitano refuses gives a
// *refusal; everything else that goes wrong an error with a kind.
type runner interface {
	lines(ctx context.Context, words ...string) iter.Seq2[string, error]
}

// run runs a command and gives all that it printed.
func run(ctx context.Context, r runner, words ...string) (string, error) {
	var b strings.Builder
	for line, err := range r.lines(ctx, words...) {
		if err != nil {
			return b.String(), err
		}
		b.WriteString(line + "\n")
	}
	return b.String(), nil
}

// refusal is a command that Gitano did not carry out.
type refusal struct{ words string }

// Error implements error with Gitano's own last line.
func (r *refusal) Error() string {
	line := sshforge.LastLine(r.words)
	if line == "" {
		return "it gives no reason"
	}
	return line
}

// has reports whether Gitano's words contain one of the texts.
func (r *refusal) has(texts ...string) bool {
	words := strings.ToLower(r.words)
	for _, t := range texts {
		if strings.Contains(words, t) {
			return true
		}
	}
	return false
}

func (r *refusal) missing() bool { return r.has("does not exist", "no such repo", "not found") }

func (r *refusal) exists() bool { return r.has("already exists") }

func (r *refusal) denied() bool {
	return r.has("ruleset denied", "not permitted", "permission denied", "denied")
}

// overSSH runs commands by ssh.
type overSSH struct{ client *sshforge.Client }

func (o overSSH) lines(ctx context.Context, words ...string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for line, err := range o.client.Lines(ctx, words...) {
			var exit *sshforge.ExitError
			if errors.As(err, &exit) {
				err = &refusal{words: exit.Stderr}
			}
			if !yield(line, err) {
				return
			}
		}
	}
}

// overHTTP runs commands that change nothing by Gitano's CGI.
type overHTTP struct {
	client  *http.Client
	address *url.URL
	login   httpforge.Login
}

const maxCGILine = 1 << 20

func (o overHTTP) lines(ctx context.Context, words ...string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := o.get(ctx, words, func(line string) bool { return yield(line, nil) }); err != nil {
			yield("", err)
		}
	}
}

// get asks the CGI and gives the lines of its answer to take.
func (o overHTTP) get(ctx context.Context, words []string, take func(string) bool) error {
	command, err := sshforge.Quote(words...)
	if err != nil {
		return err
	}
	u := *o.address
	q := u.Query()
	q.Set("cmd", command)
	u.RawQuery = q.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return sdk.Errorf(sdk.Invalid, "the address of the command CGI can't be used: %w", err)
	}
	resp, err := o.login.Do(ctx, o.client, req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxCGILine)
	if resp.StatusCode != http.StatusOK {
		return o.failed(resp, lines)
	}
	for first := true; lines.Scan(); first = false {
		line := lines.Text()
		if first && (strings.HasPrefix(strings.TrimSpace(line), "<") || strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html")) {
			return sdk.WithHint(sdk.Errorf(sdk.Unavailable, "%s answers a command with a web page", o.address.Host),
				"a login page or a proxy may stand before it, or command-url is wrong")
		}
		if critical(line) {
			return &refusal{words: line}
		}
		if !take(line) {
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return o.broken(ctx, err)
	}
	return nil
}

// critical reports whether a line is Gitano's last word.
func critical(line string) bool {
	return strings.HasPrefix(line, "CRIT:") || strings.HasPrefix(line, "FATAL:")
}

// failed makes the error of an answer that is no success. Gitano's words about
// a refusal may be in it.
func (o overHTTP) failed(resp *http.Response, lines *bufio.Scanner) error {
	if resp.StatusCode != http.StatusUnauthorized && !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
		for n := 0; n < 20 && lines.Scan(); n++ {
			if line := lines.Text(); critical(line) || strings.Contains(line, "Ruleset denied") {
				return &refusal{words: line}
			}
		}
	}
	err := sdk.HTTPError(resp, "the command")
	if sdk.KindOf(err) == sdk.NotFound {
		// The CGI is missing, not a repository.
		return sdk.WithHint(sdk.Errorf(sdk.Unavailable, "%s has no command CGI at %s", o.address.Host, o.address.Path), "set command-url, or use protocol ssh")
	}
	if sdk.KindOf(err) == sdk.Unauthenticated {
		return sdk.WithHint(err, "check username and password of auth")
	}
	return err
}

func (o overHTTP) broken(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, io.ErrUnexpectedEOF):
		return sdk.Errorf(sdk.Unavailable, "the answer of %s broke off", o.address.Host)
	case errors.Is(err, bufio.ErrTooLong):
		return sdk.Errorf(sdk.Internal, "the answer of %s has a line that is too long", o.address.Host)
	}
	return sdk.Errorf(sdk.Unavailable, "reading the answer of %s: %w", o.address.Host, err)
}
