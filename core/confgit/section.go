package confgit

import (
	"maps"
	"slices"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/spec"
)

// section is one section of lorry-controller.conf while it is read.
type section struct {
	p      *parser
	line   int
	values map[string]*value
	lines  map[string]int
	read   map[string]bool
	broken bool
}

// section reads one section, and notes what has to be kept when it is broken.
func (p *parser) section(v *value) {
	if v.kind != objectValue {
		p.problem(core.SeverityError, ConfFile, v.line, "", "every section must be a map, not %s; it is left out", v)
		p.config.KeepAll = true
		return
	}
	s := &section{p: p, line: v.line, values: map[string]*value{}, lines: map[string]int{}, read: map[string]bool{}}
	for i, key := range v.keys {
		if s.values[key] != nil {
			s.warn(v.lines[i], key, "is given twice; the last one is used")
		}
		s.values[key], s.lines[key] = v.items[i], v.lines[i]
	}
	typ := s.get("type")
	switch {
	case typ == nil:
		s.fail(s.line, "type", "is missing: it must be \"lorries\" or a type of Upstream Host")
	case typ.kind != textValue:
		s.fail(typ.line, "type", "must be a text, not %s", typ)
	case typ.text == "lorries":
		s.lorries()
	default:
		s.host(typ)
	}
	if s.broken {
		s.keep()
	}
}

// keep marks the broken section as one whose Lorries stay.
func (s *section) keep() {
	if typ := s.values["type"]; typ == nil || typ.text != "lorries" {
		for _, key := range []string{"host", "trovehost"} {
			if v := s.values[key]; v != nil && v.kind == textValue && v.text != "" {
				s.p.keep(HostSection(v.text))
				return
			}
		}
	}
	if v := s.values["prefix"]; v != nil && v.kind == textValue {
		s.p.keep(LorriesSection(cleanPrefix(v.text)))
		return
	}
	s.p.config.KeepAll = true
}

// get gives a value that is there and not null.
func (s *section) get(key string) *value {
	s.read[key] = true
	if v := s.values[key]; v != nil && v.kind != nullValue {
		return v
	}
	return nil
}

func (s *section) fail(line int, key, format string, args ...any) {
	s.broken = true
	s.p.problem(core.SeverityError, ConfFile, line, key, format+"; the section is left out", args...)
}

func (s *section) warn(line int, key, format string, args ...any) {
	s.p.problem(core.SeverityWarning, ConfFile, line, key, format, args...)
}

func (s *section) notice(line int, key, format string, args ...any) {
	s.p.problem(core.SeverityNotice, ConfFile, line, key, format, args...)
}

// text reads a text that must be there.
func (s *section) text(key string) string {
	v := s.get(key)
	switch {
	case v == nil:
		s.fail(s.line, key, "is missing")
	case v.kind != textValue:
		s.fail(v.line, key, "must be a text, not %s", v)
	default:
		return v.text
	}
	return ""
}

// list reads a list of texts.
func (s *section) list(key string, needed bool) []*value {
	v := s.get(key)
	switch {
	case v == nil && needed:
		s.fail(s.line, key, "is missing: it must be a list of texts")
		return nil
	case v == nil:
		return nil
	case v.kind != listValue:
		s.fail(v.line, key, "must be a list of texts, not %s", v)
		return nil
	}
	for _, item := range v.items {
		if item.kind != textValue {
			s.fail(item.line, key, "must be a list of texts, but has %s in it", item)
			return nil
		}
	}
	return v.items
}

// yes reads a boolean, also as a text.
func (s *section) yes(key string, otherwise bool) bool {
	v := s.get(key)
	if v == nil {
		return otherwise
	}
	if v.kind == boolValue || v.kind == textValue || v.kind == numberValue {
		switch strings.ToLower(v.text) {
		case "true", "yes", "on", "1":
			return true
		case "false", "no", "off", "0":
			return false
		}
	}
	s.fail(v.line, key, "must be true or false, not %s", v)
	return otherwise
}

func (s *section) rewrites() core.RewritePolicy {
	v := s.get("rewrites")
	if v == nil {
		return core.RewriteByRefspec
	}
	policy := core.RewritePolicy(v.text)
	if !slices.Contains([]core.RewritePolicy{core.RewriteForce, core.RewriteHold, core.RewriteRefuse}, policy) {
		s.fail(v.line, "rewrites", "must be force, hold or refuse, not %s", v)
		return core.RewriteByRefspec
	}
	return policy
}

// retire reads what is done with downstream repositories whose Lorries go away.
func (s *section) retire() core.RetirePolicy {
	v := s.get("retire")
	if v == nil {
		return core.RetireByDefault
	}
	policy := core.RetirePolicy(v.text)
	if v.kind != textValue || policy != core.RetireLeave && policy != core.RetireArchive {
		s.fail(v.line, "retire", "must be leave or archive, not %s", v)
		return core.RetireByDefault
	}
	return policy
}

// isComment reports whether a key is the writer's own: JSON has no comments.
func isComment(key string) bool {
	return key == "" || strings.HasPrefix(key, "comment") || strings.HasPrefix(key, "x-") || key[0] == '_' || key[0] == '#' || key[0] == '/'
}

func cleanPrefix(prefix string) string { return strings.Trim(prefix, "/") }

// lorries reads a section of type lorries.
func (s *section) lorries() {
	prefix := cleanPrefix(s.text("prefix"))
	if v := s.values["prefix"]; prefix != "" && !s.broken {
		if err := spec.CheckPath(prefix); err != nil {
			s.fail(v.line, "prefix", "%v", err)
		}
	}
	globs := s.list("globs", true)
	l := core.Lorry{
		Section:  LorriesSection(prefix),
		Interval: s.interval("interval", core.DefaultInterval),
		Timeout:  s.timeout(core.DefaultTimeout),
		Rewrites: s.rewrites(),
	}
	retire := s.retire()
	for _, key := range slices.Sorted(maps.Keys(s.values)) {
		if !s.read[key] && !isComment(key) {
			s.notice(s.lines[key], key, "is not known here and is ignored")
		}
	}
	if !s.broken {
		if old, known := s.p.config.Retire[l.Section]; known && old != retire {
			s.warn(s.line, "retire", "another section with the prefix %q says something else; this one counts for both", prefix)
		}
		s.p.config.Retire[l.Section] = retire
		s.p.lorries = append(s.p.lorries, lorriesSection{prefix: prefix, globs: globs, line: s.line, lorry: l})
	}
}
