package spec

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/lorry-controller/lorry-controller/core"
)

// Parse reads the text of one .lorry file: JSON, or YAML if it is not that.
// It gives the entries that can be used, in the file's order, and every
// problem. An entry with a problem of SeverityError is left out. file only
// names the file in problems.
func Parse(file string, data []byte) ([]Spec, []core.Problem) {
	p := &parser{file: file}
	if !utf8.Valid(data) {
		p.errorf(0, "", "the file is not UTF-8")
		return nil, p.problems
	}
	top, err := parseText(data)
	if err != nil {
		p.errorf(err.line, "", "%s", err.message)
		return nil, p.problems
	}
	switch {
	case top.kind == nullNode || top.kind == mapNode && len(top.keys) == 0:
		p.notice(top.line, "", "the file has no entry")
		return nil, p.problems
	case top.kind != mapNode:
		p.errorf(top.line, "", "the file must be a mapping of names to specifications, not %s", top.what())
		return nil, p.problems
	}
	specs, at := make([]Spec, 0, len(top.keys)), map[string]int{}
	for i, key := range top.keys {
		if j, twice := at[key.text]; twice {
			p.warn(key.line, key.text, "the entry is there twice (first on line %d); this one is used", specs[j].Line)
			specs[j].Name = "" // no entry has that
			delete(at, key.text)
		}
		if s, ok := p.entry(key, top.items[i]); ok {
			at[s.Name] = len(specs)
			specs = append(specs, s)
		}
	}
	return slices.DeleteFunc(specs, func(s Spec) bool { return s.Name == "" }), p.problems
}

type parser struct {
	file     string
	problems []core.Problem
}

func (p *parser) add(severity string, line int, key, format string, args ...any) {
	p.problems = append(p.problems, core.Problem{
		File: p.file, Line: line, Key: key, Message: fmt.Sprintf(format, args...), Severity: severity,
	})
}

func (p *parser) errorf(line int, key, format string, args ...any) {
	p.add(core.SeverityError, line, key, format, args...)
}

func (p *parser) warn(line int, key, format string, args ...any) {
	p.add(core.SeverityWarning, line, key, format, args...)
}

func (p *parser) notice(line int, key, format string, args ...any) {
	p.add(core.SeverityNotice, line, key, format, args...)
}

// fields reads the keys of one mapping and remembers which were read.
type fields struct {
	p      *parser
	name   string // for Problem.Key, as "entry.key"
	line   int
	values map[string]*node
	read   map[string]bool
	failed bool
}

func (p *parser) fields(name string, n *node) *fields {
	f := &fields{p: p, name: name, line: n.line, values: make(map[string]*node), read: make(map[string]bool)}
	for i, key := range n.keys {
		if old := f.values[key.text]; old != nil {
			p.warn(key.line, name+"."+key.text, "the key is there twice; the last one is used")
		}
		f.values[key.text] = n.items[i]
	}
	return f
}

func (f *fields) errorf(line int, key, format string, args ...any) {
	f.failed = true
	f.p.errorf(line, f.key(key), format, args...)
}

func (f *fields) key(key string) string {
	if key == "" {
		return f.name
	}
	return f.name + "." + key
}

// get gives a value that is there and not null.
func (f *fields) get(key string) *node {
	f.read[key] = true
	if n := f.values[key]; n != nil && n.kind != nullNode {
		return n
	}
	return nil
}

func (f *fields) has(key string) bool { return f.get(key) != nil }

func (f *fields) lineOf(key string) int {
	if n := f.values[key]; n != nil {
		return n.line
	}
	return f.line
}

// text gives a scalar, whatever its type: the files of the wild mix "1" and 1.
func (f *fields) text(key string) string {
	n := f.get(key)
	if n == nil {
		return ""
	}
	if n.kind != scalarNode {
		f.errorf(n.line, key, "the value must be a text, not %s", n.what())
		return ""
	}
	return n.text
}

func (f *fields) boolean(key string, fallback bool) bool {
	n := f.get(key)
	if n == nil {
		return fallback
	}
	if n.kind == scalarNode {
		switch strings.ToLower(n.text) {
		case "true", "yes", "on", "1", "y":
			return true
		case "false", "no", "off", "0", "n":
			return false
		}
	}
	f.errorf(n.line, key, "the value must be true or false, not %s", n.what())
	return fallback
}

// list gives a list of texts; one text alone is a list of one.
func (f *fields) list(key string) []string {
	n := f.get(key)
	if n == nil {
		return nil
	}
	items := n.items
	switch n.kind {
	case scalarNode:
		items = []*node{n}
	case mapNode:
		f.errorf(n.line, key, "the value must be a list, not %s", n.what())
		return nil
	}
	var texts []string
	for _, item := range items {
		if item.kind != scalarNode {
			f.errorf(item.line, key, "every item must be a text, not %s", item.what())
			continue
		}
		texts = append(texts, item.text)
	}
	return texts
}

func (f *fields) oneOf(key string, allowed ...string) string {
	value := f.text(key)
	if value != "" && !slices.Contains(allowed, value) {
		f.errorf(f.lineOf(key), key, "the value must be one of %s, not %q", strings.Join(allowed, ", "), value)
	}
	return value
}

// address reads a URL and splits the credential off.
func (f *fields) address(key string, t Type, verify bool) core.Access {
	text := f.text(key)
	if !f.has(key) {
		return core.Access{}
	}
	access, err := ParseAddress(t, text)
	if err != nil {
		f.errorf(f.lineOf(key), key, "%v", err)
	}
	access.SkipCertificates = !verify
	return access
}

// unknown reports keys that nothing read. Keys that start with "x-" are other
// programs' and are left alone.
func (f *fields) unknown(n *node, t Type) {
	for _, key := range n.keys {
		switch {
		case f.read[key.text], strings.HasPrefix(key.text, "x-"):
		case slices.Contains([]string{"compression", "strip"}, key.text):
			f.p.notice(key.line, f.key(key.text), "the key %q is no longer needed and is ignored", key.text)
		default:
			f.p.notice(key.line, f.key(key.text), "the key %q is not known for type %q and is ignored%s", key.text, t, f.suggest(key.text))
		}
	}
}

// suggest names the key that was probably meant: one that begins like it, but
// for dashes and capitals, or it like that one.
func (f *fields) suggest(key string) string {
	plain := func(s string) string { return strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(s)) }
	const tooShort = 3
	for _, known := range slices.Sorted(maps.Keys(f.read)) {
		a, b := plain(key), plain(known)
		if min(len(a), len(b)) >= tooShort && (strings.HasPrefix(a, b) || strings.HasPrefix(b, a)) {
			return fmt.Sprintf(" (did you mean %q?)", known)
		}
	}
	return ""
}
