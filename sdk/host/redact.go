package host

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// A secret that is shorter than this is not looked for: it would make holes
// into every other word.
const minSecret = 4

// Redactor replaces known secrets in text.
type Redactor struct {
	off bool

	mu       sync.RWMutex
	known    []string
	replacer *strings.Replacer
}

// NoRedactor makes a Redactor that replaces nothing, for tests that look whether
// an adapter tells its secrets.
func NoRedactor() *Redactor { return &Redactor{off: true} }

// Add makes secrets known, in the forms in which they like to leak.
func (r *Redactor) Add(secrets ...string) {
	if r.off {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range secrets {
		if len(s) < minSecret {
			continue
		}
		for _, form := range []string{s, strings.TrimSpace(s), url.QueryEscape(s), url.PathEscape(s), base64.StdEncoding.EncodeToString([]byte(s))} {
			if len(form) >= minSecret && !slices.Contains(r.known, form) {
				r.known = append(r.known, form)
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

// Redact gives s without the known secrets.
func (r *Redactor) Redact(s string) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.replacer == nil {
		return s
	}
	return r.replacer.Replace(s)
}
