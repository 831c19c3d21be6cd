package host

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Secrets that are shorter are not looked for: they would make holes into every
// other word, or turn an honest answer into a fault.
const (
	minSecret = 4  // in text for people
	minFound  = 12 // in text for machines
	minLine   = 16 // of a secret that has several lines, such as a key
)

// Redactor replaces known secrets in text.
type Redactor struct {
	off bool

	mu       sync.RWMutex
	known    []string
	found    []string // what Found looks for
	replacer *strings.Replacer
}

// NoRedactor makes a Redactor that replaces nothing, for tests that look whether
// an adapter tells its secrets.
func NoRedactor() *Redactor { return &Redactor{off: true} }

// Add makes an adapter's settings that are secret known, in the forms in which
// they like to leak.
func (r *Redactor) Add(secrets ...string) { r.add(true, secrets) }

// issued makes secrets known that the adapter itself has given.
func (r *Redactor) issued(secrets ...string) { r.add(false, secrets) }

func (r *Redactor) add(configured bool, secrets []string) {
	if r.off {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range secrets {
		if len(s) < minSecret {
			continue
		}
		for _, form := range forms(s) {
			if len(form) >= minSecret && !slices.Contains(r.known, form) {
				r.known = append(r.known, form)
			}
			if configured && len(form) >= minFound && !slices.Contains(r.found, form) {
				r.found = append(r.found, form)
			}
		}
	}
	const most = 512 // access tokens come and go; the oldest are forgotten
	if len(r.known) > most {
		r.known = r.known[len(r.known)-most:]
	}
	longest := slices.Clone(r.known)
	slices.SortFunc(longest, func(a, b string) int { return len(b) - len(a) })
	var pairs []string
	for _, s := range longest {
		pairs = append(pairs, s, "[secret]")
	}
	r.replacer = strings.NewReplacer(pairs...)
}

// forms are the shapes in which a secret likes to turn up.
func forms(s string) []string {
	list := []string{
		s, strings.TrimSpace(s), url.QueryEscape(s), url.PathEscape(s), hex.EncodeToString([]byte(s)),
		base64.StdEncoding.EncodeToString([]byte(s)), base64.RawURLEncoding.EncodeToString([]byte(s)),
		strings.Trim(strconv.Quote(s), `"`),
	}
	if quoted, err := json.Marshal(s); err == nil {
		list = append(list, strings.Trim(string(quoted), `"`))
	}
	if strings.Contains(strings.TrimSpace(s), "\n") {
		for line := range strings.SplitSeq(s, "\n") {
			// What frames a key is the same for all keys.
			if line = strings.TrimSpace(line); len(line) >= minLine && !strings.HasPrefix(line, "-----") {
				list = append(list, line)
			}
		}
	}
	return list
}

// Found reports whether a secret of the settings is in a text for machines,
// where it can't be replaced.
func (r *Redactor) Found(s string) bool {
	if len(s) < minFound {
		return false
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.ContainsFunc(r.found, func(secret string) bool { return strings.Contains(s, secret) })
}

// Redact gives s without the known secrets.
func (r *Redactor) Redact(s string) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.replacer == nil {
		return s
	}
	return r.replacer.Replace(s)
}
