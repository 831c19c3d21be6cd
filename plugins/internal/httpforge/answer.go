package httpforge

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/lorry-controller/lorry-controller/sdk"
)

const (
	maxMessage       = 300 // runes of a forge's own words
	defaultRateLimit = time.Minute
	longestWait      = 24 * time.Hour
)

// Refusal is the cause of an error that comes from an HTTP status.
type Refusal struct {
	Status int
	// Message is what the forge said: one line without a credential, or "".
	Message string
}

// Error implements error.
func (r *Refusal) Error() string { return fmt.Sprintf("HTTP %d: %s", r.Status, r.Message) }

// StatusOf gives the HTTP status that an error comes from, or 0.
func StatusOf(err error) int {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Status
	}
	return 0
}

// Says reports whether the forge's words contain one of the texts, whatever
// their case.
func Says(err error, texts ...string) bool {
	var r *Refusal
	if !errors.As(err, &r) {
		return false
	}
	message := strings.ToLower(r.Message)
	return slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(message, strings.ToLower(t)) })
}

// IsNotFound reports whether err says that something is not there.
func IsNotFound(err error) bool { return err != nil && sdk.KindOf(err) == sdk.NotFound }

// refused makes the error of an answer that is no success.
func (c *Client) refused(resp *http.Response, what string) error {
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	if err != nil {
		raw = nil // the status alone has to do
	}
	cause := &Refusal{Status: resp.StatusCode, Message: c.Redact(message(raw))}
	e := &sdk.Error{Err: cause, Fact: fmt.Sprintf("%s: %s answers HTTP %d", what, c.Host(), resp.StatusCode)}
	if cause.Message != "" {
		e.Fact += ": " + cause.Message
	}
	e.Kind, e.Hint = kindOf(resp.StatusCode)
	wait, told := waitOf(resp.Header, time.Now())
	switch {
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusForbidden && told:
		e.Kind, e.Hint, e.RetryAfter = sdk.RateLimited, "", defaultRateLimit
		if told {
			e.RetryAfter = wait
		}
	case e.Kind == sdk.Unavailable && told:
		e.RetryAfter = wait
	case e.Kind == sdk.Unauthenticated && c.Anonymous():
		e.Hint = "the host wants a token: give one"
	}
	return e
}

func kindOf(status int) (kind sdk.Kind, hint string) {
	switch status {
	case http.StatusUnauthorized:
		return sdk.Unauthenticated, "check the token: is it the right one, is it for this host, and has it not expired?"
	case http.StatusForbidden:
		return sdk.Denied, "check the scopes of the token and the rights of its account"
	case http.StatusProxyAuthRequired:
		return sdk.Unavailable, "the proxy wants a user and password"
	case http.StatusNotFound, http.StatusGone:
		return sdk.NotFound, "it may also be hidden from the token's account, or a proxy in front of the host may decode %2F"
	case http.StatusConflict, http.StatusPreconditionFailed:
		return sdk.Conflict, ""
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return sdk.Invalid, ""
	case http.StatusRequestEntityTooLarge, http.StatusInsufficientStorage:
		return sdk.Denied, "a quota of the host is used up: raise it or make room"
	case http.StatusLocked:
		return sdk.ReadOnly, "the host has locked it, such as an archived repository"
	case http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return sdk.Unsupported, "the host's version may be too old"
	case http.StatusRequestTimeout:
		return sdk.Unavailable, ""
	}
	switch {
	case status >= http.StatusInternalServerError:
		return sdk.Unavailable, ""
	case status >= 300 && status < 400:
		return sdk.Invalid, "the host redirects: use the address that it redirects to"
	default:
		return sdk.Internal, ""
	}
}

// waitOf reads how long a host wants to be left alone: Retry-After in seconds
// or as a date, or else when a used-up allowance is renewed.
func waitOf(h http.Header, now time.Time) (wait time.Duration, told bool) {
	clamp := func(d time.Duration) (time.Duration, bool) { return min(max(d, time.Second), longestWait), true }
	if v := strings.TrimSpace(h.Get("Retry-After")); v != "" {
		if n, err := strconv.ParseInt(v, 10, 32); err == nil && n >= 0 {
			return clamp(time.Duration(n) * time.Second)
		}
		if at, err := http.ParseTime(v); err == nil {
			return clamp(at.Sub(now))
		}
	}
	for _, prefix := range []string{"RateLimit", "X-RateLimit"} {
		if remaining := h.Get(prefix + "-Remaining"); remaining != "" && remaining != "0" {
			continue
		}
		n, err := strconv.ParseInt(h.Get(prefix+"-Reset"), 10, 64)
		switch {
		case err != nil || n <= 0:
		case n < 1e8: // a number of seconds, not a time
			return clamp(time.Duration(min(n, 1e6)) * time.Second)
		default:
			return clamp(time.Unix(n, 0).Sub(now))
		}
	}
	return 0, false
}

// message finds the words for people in a refusal: {"message": …} with a text,
// a list or an object below, {"error", "error_description"}, {"errors"}, or a
// short plain text. A page has none.
func message(raw []byte) string {
	text := strings.TrimSpace(string(raw))
	var body map[string]any
	if json.Unmarshal(raw, &body) == nil {
		var parts []string
		for _, key := range []string{"message", "error", "error_description", "errors"} {
			if words := flatten(body[key], 0); words != "" && !slices.Contains(parts, words) {
				parts = append(parts, words)
			}
		}
		return strings.Join(parts, "; ")
	}
	if text == "" || text[0] == '<' || text[0] == '{' || text[0] == '[' {
		return ""
	}
	return text
}

func flatten(v any, depth int) string {
	if depth > 4 {
		return ""
	}
	switch v := v.(type) {
	case string:
		return strings.TrimSpace(v)
	case []any:
		var parts []string
		for _, item := range v {
			if words := flatten(item, depth+1); words != "" {
				parts = append(parts, words)
			}
		}
		return strings.Join(parts, ", ")
	case map[string]any:
		var parts []string
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if words := flatten(v[key], depth+1); words != "" {
				parts = append(parts, key+" "+words)
			}
		}
		return strings.Join(parts, "; ")
	default:
		return ""
	}
}

// forms gives the forms in which a token could show up in a text.
func forms(token sdk.Secret) []string {
	t := token.Reveal()
	if len(t) < 4 {
		return nil // as good as none, and it would tear holes into every text
	}
	list := []string{t, url.QueryEscape(t), url.PathEscape(t)}
	for _, plain := range []string{t, "oauth2:" + t} {
		list = append(list, base64.StdEncoding.EncodeToString([]byte(plain)), base64.RawStdEncoding.EncodeToString([]byte(plain)))
	}
	slices.SortFunc(list, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(list)
}

// Redact makes one short line of a text from outside, without the token, in
// whatever form, and without users in URLs. It redacts before it cuts.
func (c *Client) Redact(s string) string {
	for _, form := range c.secret {
		s = strings.ReplaceAll(s, form, "[secret]")
	}
	s = withoutUsers(strings.ToValidUTF8(s, "?"))
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return unicode.IsControl(r) || unicode.IsSpace(r) }), " ")
	if runes := []rune(s); len(runes) > maxMessage {
		s = string(runes[:maxMessage]) + "…"
	}
	return s
}

// withoutUsers takes user and password out of every URL in a text.
func withoutUsers(s string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "://")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString("://")
		end := strings.IndexFunc(after, func(r rune) bool { return r == '/' || r == '"' || unicode.IsSpace(r) })
		if end < 0 {
			end = len(after)
		}
		if at := strings.LastIndexByte(after[:end], '@'); at >= 0 {
			after = after[at+1:]
		}
		s = after
	}
}

// Unlisted gives the error of a list that is not there, such as that of a
// group: a listing knows no "not found", which would mean a repository.
func Unlisted(err error) error {
	if !IsNotFound(err) {
		return err
	}
	return sdk.WithHint(&sdk.Error{Kind: sdk.Denied, Fact: err.Error(), Err: err},
		"check the name in the host's section; it may also be hidden from the token's account")
}
