package telemetry

import (
	"encoding/base64"
	"net/url"
	"regexp"
	"sort"
	"strings"
	"sync"

	"github.com/lorry-controller/lorry-controller/core"
)

// hidden stands for what must not be shown.
const hidden = "[secret]"

// shortest is the length from which a secret is looked for; hiding "a" would
// spoil every line and tell more than it hides.
const shortest = 4

var (
	userinfo      = regexp.MustCompile(`//([^/\s@'"<>:]*):[^/\s@'"<>]*@`)
	loneToken     = regexp.MustCompile(`(?i)(https?://)[^/\s@'"<>:]+@`)
	authorization = regexp.MustCompile(`(?i)\b(authorization|private-token|x-access-token)(["']?\s*[:=]\s*)(basic |bearer |token )?\S+`)
	// placeholder is what an advice has where the credential is to be.
	placeholder = regexp.MustCompile(`[\s:=](?:…|TOKEN)[\\"'` + "`" + `.,;]*$`)
)

// Redactor takes credentials out of texts: the secrets that it knows, however
// they are written, the password in a URL, tokens and signatures in its query, and
// authorization headers. It may be used by several goroutines; its zero value knows
// no secret.
type Redactor struct {
	mu       sync.RWMutex
	known    map[string]bool
	replacer *strings.Replacer
}

// NewRedactor makes a Redactor that knows some secrets.
func NewRedactor(secrets ...core.Secret) *Redactor {
	r := &Redactor{}
	r.Add(secrets...)
	return r
}

// Add makes more secrets known.
func (r *Redactor) Add(secrets ...core.Secret) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known = map[string]bool{}
	}
	before := len(r.known)
	for _, secret := range secrets {
		s := secret.Reveal()
		if len(s) < shortest {
			continue
		}
		for _, form := range []string{
			s, url.QueryEscape(s), url.PathEscape(s),
			base64.StdEncoding.EncodeToString([]byte(s)), base64.URLEncoding.EncodeToString([]byte(s)),
		} {
			r.known[form] = true
		}
	}
	if len(r.known) == before {
		return
	}
	forms := make([]string, 0, len(r.known))
	for form := range r.known {
		forms = append(forms, form)
	}
	sort.Slice(forms, func(i, j int) bool { // the longest first
		return len(forms[i]) > len(forms[j]) || len(forms[i]) == len(forms[j]) && forms[i] < forms[j]
	})
	var pairs []string
	for _, form := range forms {
		pairs = append(pairs, form, hidden)
	}
	r.replacer = strings.NewReplacer(pairs...)
}

// Redact gives the text without credentials.
func (r *Redactor) Redact(text string) string {
	if r != nil {
		r.mu.RLock()
		replacer := r.replacer
		r.mu.RUnlock()
		if replacer != nil {
			text = replacer.Replace(text)
		}
	}
	if strings.Contains(text, "//") {
		text = userinfo.ReplaceAllString(text, "//$1:"+hidden+"@")
		text = loneToken.ReplaceAllString(text, "$1"+hidden+"@")
	}
	return authorization.ReplaceAllStringFunc(core.HideParameters(text), func(header string) string {
		if placeholder.MatchString(header) {
			return header
		}
		return authorization.ReplaceAllString(header, "${1}${2}"+hidden)
	})
}
