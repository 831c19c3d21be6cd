package confgit

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/spec"
)

// Keys that older programs had and that mean nothing.
func isLegacy(key string) bool {
	return slices.Contains([]string{"uuid", "serial", "create", "destroy", "stagger", "tarball"}, key)
}

// host reads the section of an Upstream Host.
func (s *section) host(typ *value) {
	h := core.Host{Name: s.hostName(), Type: typ.text}
	if h.Type == "troves" {
		h.Type = "trove"
	}
	s.checkType(typ, h.Type)
	s.protocol(&h)
	h.Prefixes = s.prefixMap()
	for _, item := range s.list("ignore", false) {
		if _, err := CompilePattern(item.text); err != nil {
			s.fail(item.line, "ignore", "%v", err)
		}
		h.Ignore = append(h.Ignore, item.text)
	}
	h.LsInterval = s.interval("ls-interval", core.DefaultInterval)
	h.Interval = s.interval("interval", core.DefaultInterval)
	h.Timeout = s.timeout(core.DefaultTimeout)
	h.Rewrites = s.rewrites()
	h.Prune = s.yes("prune", false)
	if s.get("lfs") != nil {
		h.LFS = string(spec.LFSNo)
		if s.yes("lfs", true) {
			h.LFS = string(spec.LFSYes)
		}
	}
	retire := s.retire()
	h.SkipCertificates = !s.yes("check-certificates", true) || s.p.rules.SkipCertificates
	secrets := s.credentials()
	h.Settings = s.settings(&secrets)
	if h.Type == "gitlab" && !s.broken && secrets.Token.Empty() && secrets.Refs["private-token"] == (SecretRef{}) {
		s.warn(s.line, "private-token", "is missing, so only public repositories can be seen")
	}
	if s.broken {
		return
	}
	c := s.p.config
	if i := slices.IndexFunc(c.Hosts, func(old core.Host) bool { return old.Name == h.Name }); i >= 0 {
		s.warn(s.line, "host", "the host %q is described twice; this section is used, and the one before is ignored", h.Name)
		c.Hosts = slices.Delete(c.Hosts, i, i+1)
	}
	c.Hosts = append(c.Hosts, h)
	c.Retire[HostSection(h.Name)] = retire
	c.Secrets[h.Name] = secrets
}

func (s *section) hostName() string {
	key := "host"
	if s.values[key] == nil && s.values["trovehost"] != nil {
		key = "trovehost"
	}
	name := s.text(key)
	s.read["host"], s.read["trovehost"] = true, true
	usable := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._:-[]", r)
	}
	if v := s.values[key]; !s.broken && (name == "" || name[0] == '-' || strings.ContainsFunc(name, func(r rune) bool { return !usable(r) })) {
		s.fail(v.line, key, "%q is no name of a host", name)
	}
	return name
}

func (s *section) checkType(typ *value, name string) {
	known := s.p.rules.Types
	switch {
	case name == "" || strings.ContainsFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }):
		s.fail(typ.line, "type", "%q is no type of host: it has lower-case letters, digits and \"-\" alone", typ.text)
	case len(known) > 0 && !slices.Contains(known, name):
		s.fail(typ.line, "type", "%q is not known: it must be lorries, %s", typ.text, strings.Join(known, ", "))
	}
}

func (s *section) protocol(h *core.Host) {
	const allowed = "ssh, https or http"
	v := s.get("protocol")
	switch {
	case v == nil && (h.Type == "trove" || h.Type == "gitlab"):
		s.fail(s.line, "protocol", "is missing: it must be %s", allowed)
	case v == nil:
	case v.kind != textValue || !slices.Contains([]string{"ssh", "https", "http"}, v.text):
		s.fail(v.line, "protocol", "must be %s, not %s", allowed, v)
	default:
		h.Protocol = v.text
	}
}

// prefixMap reads prefixmap in the order of the file.
func (s *section) prefixMap() []core.PrefixRule {
	v := s.get("prefixmap")
	switch {
	case v == nil:
		s.fail(s.line, "prefixmap", "is missing: it must map upstream prefixes to downstream ones")
		return nil
	case v.kind != objectValue:
		s.fail(v.line, "prefixmap", "must be a map of texts, not %s", v)
		return nil
	case len(v.items) == 0:
		s.warn(v.line, "prefixmap", "is empty, so nothing of this host is mirrored")
	}
	var rules []core.PrefixRule
	for i, from := range v.keys {
		to := v.items[i]
		if to.kind != textValue {
			s.fail(to.line, "prefixmap", "the prefix of %q must be a text, not %s", from, to)
			continue
		}
		rule := core.PrefixRule{From: cleanPrefix(from), To: cleanPrefix(to.text)}
		if rule.To != "" {
			if err := spec.CheckPath(rule.To); err != nil {
				s.fail(to.line, "prefixmap", "%v", err)
				continue
			}
		}
		if slices.ContainsFunc(rules, func(old core.PrefixRule) bool { return old.From == rule.From }) {
			s.warn(v.lines[i], "prefixmap", "%q is mapped twice; the first one is used", from)
			continue
		}
		rules = append(rules, rule)
	}
	return rules
}

func (s *section) credentials() HostSecrets {
	var secrets HostSecrets
	if v := s.get("private-token"); v != nil {
		secrets.Token = s.secret(&secrets, "private-token", "private-token", v)
	}
	v := s.get("auth")
	if v == nil {
		return secrets
	}
	if v.kind != objectValue {
		s.fail(v.line, "auth", "must be a map with username and password")
		return secrets
	}
	for i, key := range v.keys {
		item := v.items[i]
		switch {
		case key != "username" && key != "password":
			s.notice(v.lines[i], "auth."+key, "is not known here and is ignored")
		case key == "password":
			secrets.Password = s.secret(&secrets, key, "auth.password", item)
		case item.kind != textValue:
			s.fail(item.line, "auth."+key, "must be a text")
		default:
			secrets.Username = item.text
		}
	}
	return secrets
}

// secret reads a credential, which adapters call name.
func (s *section) secret(secrets *HostSecrets, name, key string, v *value) core.Secret {
	secret, ref, fault := s.p.secret(v)
	if fault != "" {
		s.fail(v.line, key, "%s", fault)
	}
	secrets.refer(name, ref)
	return secret
}

// settings gathers the keys that are for the adapter, without credentials.
func (s *section) settings(secrets *HostSecrets) map[string]any {
	settings := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(s.values)) {
		v := s.values[key]
		switch {
		case s.read[key] || isComment(key) || v.kind == nullValue:
		case isLegacy(key):
			s.notice(s.lines[key], key, "has no meaning any more and is ignored")
		case isSecretKey(key) && (v.kind == textValue || v.kind == objectValue):
			if secrets.Settings == nil {
				secrets.Settings = map[string]core.Secret{}
			}
			secrets.Settings[key] = s.secret(secrets, key, key, v)
		case holdsPassword(v):
			s.fail(v.line, key, "must not have a password in a URL; use auth")
		default:
			settings[key] = v.plain()
		}
	}
	return settings
}

func isSecretKey(key string) bool {
	key = strings.ToLower(key)
	for _, end := range []string{"token", "password", "secret", "api-key"} {
		if strings.HasSuffix(key, end) {
			return true
		}
	}
	return false
}

// holdsPassword reports whether any text in v is a URL with a password.
func holdsPassword(v *value) bool {
	if v.kind == textValue && strings.Contains(v.text, "@") {
		if u, err := url.Parse(v.text); err == nil && u.User != nil {
			_, has := u.User.Password()
			return has
		}
	}
	return slices.ContainsFunc(v.items, holdsPassword)
}

// MapPath gives the downstream path of a host's repository: the first prefix
// that fits at the border of a component counts, an empty one fits everything.
// It reports false for a repository that is not mirrored.
func MapPath(rules []core.PrefixRule, path string) (string, bool) {
	for _, rule := range rules {
		rest := path
		if rule.From != "" {
			var fits bool
			if rest, fits = strings.CutPrefix(path, rule.From+"/"); !fits {
				continue
			}
		}
		if rule.To == "" {
			return rest, true
		}
		return fmt.Sprintf("%s/%s", rule.To, rest), true
	}
	return "", false
}
