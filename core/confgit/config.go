package confgit

import (
	"strconv"
	"strings"
	"unicode"

	"github.com/lorry-controller/lorry-controller/core"
)

// ConfFile is the file that CONFGIT must have.
const ConfFile = "lorry-controller.conf"

// Config is what CONFGIT says at one commit. It holds credentials and so is
// kept in memory only.
type Config struct {
	// Commit is the commit that was read, or "files:DIGEST" for a directory.
	Commit string
	// Lorries come from .lorry files, in the order of their paths.
	Lorries []core.Lorry
	// Left is what WithoutTexts leaves of them.
	Left []Owned
	// Places says where each of Lorries is written, by its path.
	Places map[string]Place
	// Hosts are in the order of the file, which decides who wins a path.
	Hosts []core.Host
	// Unresolved says that a secret is not where CONFGIT says that it is kept, so
	// that the same commit may give another Config soon.
	Unresolved bool
	// Secrets are the credentials of Hosts, by name.
	Secrets map[string]HostSecrets
	// Access has the fetch access of those Lorries whose URL had a credential,
	// or whose certificates are not to be checked, by path.
	Access map[string]core.Access
	Proxy  Proxy
	// Retire says, by section, what is done with downstream repositories whose
	// Lorries go away. It has every section that could be read.
	Retire map[string]core.RetirePolicy
	// Kept names the sections that are broken in whole or in part: none of
	// the Lorries that they gave before may be removed.
	Kept []string
	// KeepAll is set when a broken section could not even be identified; no
	// Lorry at all may be removed then.
	KeepAll  bool
	Problems []core.Problem
	// Missing says that there is no lorry-controller.conf at all.
	Missing bool
}

// Place is where something is written.
type Place struct {
	File string
	Line int    // 1 is the first
	Key  string // the entry of the file
}

// HostSecrets are the credentials of an Upstream Host.
type HostSecrets struct {
	Username string      // of auth
	Password core.Secret // of auth
	Token    core.Secret // private-token
	// Settings are those further keys of the section that hold a credential
	// by their name (…token, …password, …secret).
	Settings map[string]core.Secret
	// Refs say where those are kept that are not in CONFGIT, by the names that
	// adapters have for them: private-token, password, and those of Settings.
	Refs map[string]SecretRef
}

// refer notes where a secret is kept.
func (h *HostSecrets) refer(name string, ref SecretRef) {
	if ref == (SecretRef{}) {
		return
	}
	if h.Refs == nil {
		h.Refs = map[string]SecretRef{}
	}
	h.Refs[name] = ref
}

// Proxy is the HTTP proxy that proxy.conf names. Hostname "" means none.
type Proxy struct {
	Hostname string
	Port     int
	Username string
	Password core.Secret
	Ref      SecretRef // where the password is kept, unless it is in the file
}

// LorriesSection names the section of .lorry files with a prefix.
func LorriesSection(prefix string) string { return "lorries:" + prefix }

// HostSection names the section of an Upstream Host.
func HostSection(name string) string { return "host:" + name }

// HostOfSection gives the host's name for a section made by HostSection.
func HostOfSection(section string) (string, bool) { return strings.CutPrefix(section, "host:") }

// AllSecrets gives every credential of the Config, for redaction.
func (c *Config) AllSecrets() []core.Secret {
	all := []core.Secret{c.Proxy.Password}
	for _, s := range c.Secrets {
		all = append(all, s.Password, s.Token)
		for _, secret := range s.Settings {
			all = append(all, secret)
		}
	}
	for _, a := range c.Access {
		all = append(all, a.Secret)
	}
	return all
}

// BrokenError says that a file of CONFGIT is so broken that nothing of
// CONFGIT could be used.
type BrokenError struct{ Problem core.Problem }

// Error implements error, as FILE:LINE: message.
func (e *BrokenError) Error() string { return Describe(e.Problem) }

// Unwrap gives the same for whoever asks for a kind and a hint.
func (e *BrokenError) Unwrap() error {
	return &core.Error{
		Kind: core.KindInvalid, Fact: e.Error(),
		Hint: "correct the file in CONFGIT; until then what was read before counts",
	}
}

// Describe writes a problem as one line that a terminal can show: FILE:LINE:
// key: message.
func Describe(p core.Problem) string {
	text := p.File
	if p.Line > 0 {
		text += ":" + itoa(p.Line)
	}
	if text != "" {
		text += ": "
	}
	if p.Key != "" {
		text += p.Key + ": "
	}
	return printable(text + p.Message)
}

// printable writes what is not, such as a key that holds an escape sequence, as
// Go would in quotes.
func printable(text string) string {
	var b strings.Builder
	for _, r := range text {
		if unicode.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
	}
	return b.String()
}
