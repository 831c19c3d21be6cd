package settings

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// variable is one assignment in a configuration file.
type variable struct {
	name string
	text string
	list []string // set instead of text when the file has a real list
	line int
}

// section is a section of an INI file while it is read.
type section struct {
	order []string
	vars  map[string]*variable
}

// An option line is a key, one of the two delimiters, and a value.
var optionLine = regexp.MustCompile(`^([^=:]*?)\s*[=:]\s*(.*)$`)

// parseINI reads the [config] section of an INI file by the rules of Python's
// ConfigParser. Errors carry FILE:LINE. Warnings are about keys given twice.
func parseINI(file string, data []byte) (vars []variable, warnings []string, errs []error) {
	p := iniParser{file: file, sections: map[string]*section{}}
	text := strings.TrimPrefix(string(data), "\ufeff")
	for i, line := range strings.Split(text, "\n") {
		p.line(i+1, strings.TrimRight(line, "\r"))
	}
	config := p.sections["config"]
	if config == nil {
		return nil, p.warnings, p.errs
	}
	for _, name := range config.order {
		v := *config.vars[name]
		v.text = strings.TrimRight(v.text, "\n ")
		p.steps = 0
		value, err := p.interpolate(config, v.text, 0)
		if err != nil {
			p.errs = append(p.errs, fmt.Errorf("%s:%d: %s: %w", file, v.line, name, err))
			continue
		}
		v.text = value
		vars = append(vars, v)
	}
	return vars, p.warnings, p.errs
}

type iniParser struct {
	file     string
	sections map[string]*section
	current  *section
	last     *variable // what a continuation line adds to
	indent   int       // of the last line that was no continuation
	steps    int       // taken to interpolate one variable
	warnings []string
	errs     []error
}

func (p *iniParser) line(number int, line string) {
	trimmed := strings.TrimSpace(line)
	if trimmed == "" {
		if p.last != nil {
			p.last.text += "\n"
		}
		return
	}
	if trimmed[0] == '#' || trimmed[0] == ';' {
		return
	}
	indent := len(line) - len(strings.TrimLeft(line, " \t\f\v"))
	if p.last != nil && indent > p.indent {
		p.last.text += "\n" + trimmed
		return
	}
	p.indent = indent
	if trimmed[0] == '[' && strings.Contains(trimmed, "]") {
		name := trimmed[1:strings.LastIndex(trimmed, "]")]
		if p.sections[name] == nil {
			p.sections[name] = &section{vars: map[string]*variable{}}
		}
		p.current, p.last = p.sections[name], nil
		return
	}
	p.assign(number, trimmed)
}

func (p *iniParser) assign(number int, line string) {
	match := optionLine.FindStringSubmatch(line)
	switch {
	case p.current == nil:
		p.fail(number, "there is no section header; the first line must be [config]")
		return
	case match == nil || match[1] == "":
		p.fail(number, "expected \"name = value\"")
		return
	}
	name := strings.ToLower(match[1])
	if old := p.current.vars[name]; old != nil {
		p.warnings = append(p.warnings, fmt.Sprintf("%s:%d: %q is given a second time and replaces line %d", p.file, number, name, old.line))
	} else {
		p.current.order = append(p.current.order, name)
	}
	p.last = &variable{name: name, text: match[2], line: number}
	p.current.vars[name] = p.last
}

func (p *iniParser) fail(number int, problem string) {
	p.errs = append(p.errs, fmt.Errorf("%s:%d: %s", p.file, number, problem))
}

// interpolate replaces %% by % and %(name)s by the value of name.
func (p *iniParser) interpolate(s *section, text string, depth int) (string, error) {
	const deepest, most = 10, 1000
	p.steps++
	if depth > deepest || p.steps > most {
		return "", errors.New("%(…)s refers to itself, or to too much")
	}
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, "%")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		if rest, ok := strings.CutPrefix(after, "%"); ok {
			out.WriteByte('%')
			text = rest
			continue
		}
		name, rest, ok := strings.Cut(strings.TrimPrefix(after, "("), ")s")
		if !strings.HasPrefix(after, "(") || !ok {
			return "", fmt.Errorf("%q must be followed by %q or (name)s; write %q for a literal %q", "%", "%", "%%", "%")
		}
		name = strings.ToLower(name)
		v := s.vars[name]
		if defaults := p.sections["DEFAULT"]; v == nil && defaults != nil {
			v = defaults.vars[name]
		}
		if v == nil {
			return "", fmt.Errorf("%%(%s)s names no variable", name)
		}
		value, err := p.interpolate(s, strings.TrimRight(v.text, "\n "), depth+1)
		if err != nil {
			return "", err
		}
		out.WriteString(value)
		text = rest
	}
}
