package childproc

import (
	"encoding/base64"
	"io"
	"net/url"
	"regexp"
	"sort"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/lorry-controller/lorry-controller/core"
)

const (
	// MaxLine is how much of one line a Redactor lets through, in bytes.
	MaxLine = 8 << 10
	// maxHeld is how much of one line is looked at. It is larger than MaxLine,
	// so that a credential across the cut is seen whole.
	maxHeld = 64 << 10
	hidden  = "[secret]"
)

// Redactor is a writer that passes text on line by line, without credentials
// and without control characters. Lines that end with a carriage return
// (progress) keep it. What is longer than MaxLine is cut.
//
// It may be used by several goroutines. Close passes on an unfinished line.
type Redactor struct {
	mu      sync.Mutex
	w       io.Writer
	secrets []string
	line    []byte
	skip    bool // the rest of the line was cut
	err     error
}

// NewRedactor makes a Redactor that hides the given secrets in every form in
// which they may turn up, and everything that looks like a URL's user part or
// like a token or signature in its query.
func NewRedactor(w io.Writer, secrets ...string) *Redactor {
	return &Redactor{w: w, secrets: secretForms(secrets)}
}

// Write implements io.Writer. It takes everything even after an error of the
// underlying writer, which Close reports.
func (r *Redactor) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := len(p)
	for len(p) > 0 {
		i := 0
		for i < len(p) && p[i] != '\n' && p[i] != '\r' {
			i++
		}
		r.hold(p[:i])
		if i == len(p) {
			break
		}
		r.flush(string(p[i]))
		p = p[i+1:]
	}
	return n, nil
}

// Close passes on an unfinished line and gives the first error of writing.
func (r *Redactor) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.line) > 0 {
		r.flush("\n")
	}
	return r.err
}

func (r *Redactor) hold(p []byte) {
	if r.skip {
		return
	}
	if room := maxHeld - len(r.line); len(p) > room {
		p, r.skip = p[:room], true
	}
	r.line = append(r.line, p...)
}

func (r *Redactor) flush(end string) {
	text := redactLine(string(r.line), r.secrets)
	if len(text) > MaxLine {
		text = strings.ToValidUTF8(text[:MaxLine], "") + " …"
	}
	r.line, r.skip = r.line[:0], false
	if _, err := io.WriteString(r.w, text+end); err != nil && r.err == nil {
		r.err = err
	}
}

// Redact removes credentials and control characters from a text of any number
// of lines.
func Redact(text string, secrets ...string) string {
	var b strings.Builder
	r := NewRedactor(&b, secrets...)
	_, _ = io.WriteString(r, text)
	_ = r.Close()
	if !strings.HasSuffix(text, "\n") {
		return strings.TrimSuffix(b.String(), "\n")
	}
	return b.String()
}

var (
	userinfo      = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*:)?//([^/\s@'"<>]+)@`)
	authorization = regexp.MustCompile(`(?i)\b(authorization|private-token|x-access-token|proxy-authorization)(["']?\s*[:=]\s*)(basic |bearer |token )?\S+`)
)

func redactLine(line string, secrets []string) string {
	for _, s := range secrets {
		line = strings.ReplaceAll(line, s, hidden)
	}
	// Most lines are progress: they are not searched for what cannot be there.
	if strings.Contains(line, "//") && strings.Contains(line, "@") {
		line = userinfo.ReplaceAllStringFunc(line, hideUser)
	}
	if mayAuthorize(line) {
		line = authorization.ReplaceAllString(line, "${1}${2}"+hidden)
	}
	line = strings.ToValidUTF8(line, "\uFFFD")
	line = core.HideParameters(strings.Map(printable, line))
	// A control character in the middle of a secret must not save it.
	for _, s := range secrets {
		line = strings.ReplaceAll(line, s, hidden)
	}
	return line
}

// mayAuthorize reports whether a line may hold one of the words that
// authorization looks for: all have "auth" or "token" in them.
func mayAuthorize(line string) bool {
	if !strings.ContainsAny(line, ":=") {
		return false
	}
	for i := range len(line) {
		switch line[i] | 0x20 {
		case 'a':
			if len(line)-i >= 4 && strings.EqualFold(line[i:i+4], "auth") {
				return true
			}
		case 't':
			// The letter K has a second form that the search takes for it.
			if len(line)-i >= 2 && line[i+1]|0x20 == 'o' {
				return true
			}
		}
	}
	return false
}

// hideUser hides the user part of a URL, but for a plain ssh login name, which
// is no secret and is wanted in a message.
func hideUser(match string) string {
	m := userinfo.FindStringSubmatch(match)
	if strings.Contains(m[1], "ssh:") && !strings.Contains(m[2], ":") {
		return match
	}
	return m[1] + "//" + hidden + "@"
}

func printable(c rune) rune {
	switch {
	case c == '\t':
		return c
	case c == utf8.RuneError:
		return c
	case unicode.IsControl(c), c >= 0x202A && c <= 0x202E, c >= 0x2066 && c <= 0x2069:
		return -1
	}
	return c
}

// secretForms gives the secrets as they stand, percent-encoded and in base64,
// the longest first. Very short texts are left out: hiding them would spoil
// every line and tell more than it hides.
func secretForms(secrets []string) []string {
	seen := make(map[string]bool)
	var forms []string
	add := func(s string) {
		if len(s) >= 4 && !seen[s] {
			seen[s] = true
			forms = append(forms, s)
		}
	}
	for _, s := range secrets {
		add(s)
		add(url.QueryEscape(s))
		add(url.PathEscape(s))
		add(base64.StdEncoding.EncodeToString([]byte(s)))
		add(base64.URLEncoding.EncodeToString([]byte(s)))
	}
	sort.SliceStable(forms, func(i, j int) bool { return len(forms[i]) > len(forms[j]) })
	return forms
}
