package settings

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Parse reads the settings of a program: first its defaults, then the default
// configuration files and those named by --config, then LORRY_* variables of
// env (in the form of os.Environ), then args (without the program's name);
// what comes later wins. All that is wrong is in the error, joined; it has a
// *UsageError inside if the command line is to blame. After --help or --version
// nothing but the command line is looked at.
func (t Table) Parse(args, env []string) (*Values, error) {
	p := &parser{table: t, index: t.index(), env: environment(env)}
	p.values = &Values{table: t, index: p.index, entries: map[string]*entry{}}
	for _, opt := range p.index.list {
		p.values.entries[opt.Name] = &entry{opt: opt, text: opt.Default, list: splitList(opt.Default)}
	}
	given := p.commandLine(args)
	if !p.asks("help") && !p.asks("help-all") && !p.asks("version") {
		p.findFiles()
		for _, file := range p.values.configFiles {
			p.file(file)
		}
		p.environ(env)
	}
	for _, g := range given {
		p.set(g.opt, g.value, g.source, true)
	}
	p.readSecrets()
	return p.values, errors.Join(p.errs...)
}

type parser struct {
	table   Table
	index   *options
	env     map[string]string
	values  *Values
	configs []string // named by --config
	errs    []error
}

// given is one option on the command line.
type given struct {
	opt    *Option
	value  value
	source string
}

// value is what a file, a variable or an argument says of an option.
type value struct {
	text string
	list []string
	add  bool // list adds to what the same source already said
}

func environment(env []string) map[string]string {
	vars := map[string]string{}
	for _, line := range env {
		name, value, _ := strings.Cut(line, "=")
		vars[name] = value
	}
	return vars
}

func (p *parser) asks(name string) bool { return p.values.Bool(name) }

func (p *parser) usage(format string, args ...any) {
	p.errs = append(p.errs, &UsageError{Program: p.table.Program, Problem: fmt.Sprintf(format, args...)})
}

// commandLine takes the arguments apart; options that only ask for
// information take effect at once.
func (p *parser) commandLine(args []string) []given {
	var all []given
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			p.values.Args = append(p.values.Args, args[i+1:]...)
			break
		}
		if arg == "-" || !strings.HasPrefix(arg, "-") {
			p.values.Args = append(p.values.Args, arg)
			continue
		}
		opt, text, attached, negated, err := p.option(arg)
		if err != nil {
			p.usage("%s", err)
			continue
		}
		shown := "--" + opt.Name
		switch {
		case opt.Kind == Bool:
			if attached {
				p.usage("%s takes no value", shown)
				continue
			}
			text = "yes"
			if negated {
				text = "no"
			}
		case !attached:
			i++
			if i == len(args) {
				p.usage("%s needs a value", shown)
				continue
			}
			text = args[i]
		}
		all = p.given(all, opt, text, shown)
	}
	return all
}

// option finds what one argument means: the option, and the value that is
// attached to it, if any.
func (p *parser) option(arg string) (opt *Option, text string, attached, negated bool, err error) {
	if long, ok := strings.CutPrefix(arg, "--"); ok {
		name, text, attached := strings.Cut(long, "=")
		opt, negated, err = p.index.long(name)
		return opt, text, attached, negated, err
	}
	opt = p.index.short[arg[1:2]]
	if opt == nil || opt.Kind == Bool && len(arg) > 2 {
		return nil, "", false, false, fmt.Errorf("no such option: %s", arg)
	}
	return opt, arg[2:], len(arg) > 2, false, nil
}

func (p *parser) given(all []given, opt *Option, text, shown string) []given {
	if opt.Name == "config" {
		p.configs = append(p.configs, text)
		return all
	}
	if opt.action {
		p.set(opt, value{text: text}, shown, true)
		return all
	}
	if opt.NotOnCommandLine {
		p.usage("%s on the command line can be seen by every user of this machine; use %s-file", shown, opt.Name)
		return all
	}
	if opt.Secret && opt.fileOf == "" {
		p.values.warn("%s on the command line can be seen by every user of this machine; use %s-file", shown, opt.Name)
	}
	v := value{text: text}
	if opt.Kind == List {
		v.list = []string{text}
		v.add = slices.ContainsFunc(all, func(g given) bool { return g.opt == opt })
	}
	return append(all, given{opt: opt, value: v, source: shown})
}

// findFiles lists the configuration files to read.
func (p *parser) findFiles() {
	if !p.asks("no-default-configs") {
		p.values.configFiles = p.table.defaultFiles(p.env)
	}
	p.values.configFiles = append(p.values.configFiles, p.configs...)
}

// defaultFiles lists the default configuration files that exist.
func (t Table) defaultFiles(env map[string]string) []string {
	name, etc := t.ConfigName, t.Etc
	if name == "" {
		name = t.Program
	}
	if etc == "" {
		etc = "/etc"
	}
	patterns := []string{filepath.Join(etc, name+".conf"), filepath.Join(etc, name+".yaml")}
	dirs := []string{filepath.Join(etc, name)}
	xdg := env["XDG_CONFIG_DIRS"]
	if xdg == "" {
		xdg = filepath.Join(etc, "xdg")
	}
	for _, dir := range filepath.SplitList(xdg) {
		dirs = append(dirs, filepath.Join(dir, name))
	}
	if home := env["HOME"]; home != "" {
		dotted := filepath.Join(home, "."+name)
		own := env["XDG_CONFIG_HOME"]
		if own == "" {
			own = filepath.Join(home, ".config")
		}
		patterns = append(patterns, inDirs(dirs)...)
		patterns = append(patterns, dotted+".conf", dotted+".yaml")
		dirs = []string{filepath.Join(own, name)}
	}
	patterns = append(patterns, inDirs(dirs)...)
	var files []string
	for _, pattern := range patterns {
		found, err := filepath.Glob(pattern)
		if err != nil {
			continue // a home directory with a bracket in its name
		}
		files = append(files, found...)
	}
	return files
}

func inDirs(dirs []string) []string {
	var patterns []string
	for _, dir := range dirs {
		patterns = append(patterns, filepath.Join(dir, "*.conf"), filepath.Join(dir, "*.yaml"))
	}
	return patterns
}

func (p *parser) file(file string) {
	data, err := os.ReadFile(file)
	if err != nil {
		p.errs = append(p.errs, fmt.Errorf("configuration file %s can't be read: %w", file, err))
		return
	}
	var vars []variable
	var warnings []string
	var errs []error
	if strings.HasSuffix(file, ".yaml") {
		vars, errs = parseYAML(file, data)
	} else {
		vars, warnings, errs = parseINI(file, data)
	}
	p.values.Warnings = append(p.values.Warnings, warnings...)
	p.errs = append(p.errs, errs...)
	for _, v := range vars {
		source := fmt.Sprintf("%s:%d", file, v.line)
		opt := p.index.byName[v.name]
		if opt == nil || opt.action {
			p.errs = append(p.errs, fmt.Errorf("%s: unknown configuration variable %q%s", source, v.name, p.index.suggest(v.name, "")))
			continue
		}
		p.set(opt, fileValue(opt, v), source+": "+v.name, false)
	}
}

func fileValue(opt *Option, v variable) value {
	switch {
	case v.list == nil && opt.Kind == List:
		return value{text: v.text, list: splitList(v.text)}
	case v.list != nil && opt.Kind != List:
		return value{text: joinList(v.list)}
	}
	return value{text: v.text, list: v.list}
}

// environ applies the LORRY_* variables.
func (p *parser) environ(env []string) {
	const prefix = "LORRY_"
	lines := slices.Clone(env)
	slices.Sort(lines)
	for _, line := range lines {
		variable, text, _ := strings.Cut(line, "=")
		rest, ours := strings.CutPrefix(variable, prefix)
		if !ours || p.table.knownEnv(variable) {
			continue
		}
		name := strings.ToLower(strings.ReplaceAll(rest, "_", "-"))
		opt := p.index.byName[name]
		if opt == nil && slices.Contains([]string{"ADDR", "TOKEN", "TOKEN_FILE", "CA_FILE", "CLIENT_CERTIFICATE", "CLIENT_KEY"}, rest) {
			continue // lorryctl's, which may stand in the shell that any program is started from
		}
		if opt == nil || opt.action || variable != strings.ToUpper(variable) {
			hint := p.index.suggest(name, "")
			if i, j := strings.IndexByte(hint, '"'), strings.LastIndexByte(hint, '"'); i >= 0 {
				hint = hint[:i+1] + prefix + strings.ToUpper(strings.ReplaceAll(hint[i+1:j], "-", "_")) + hint[j:]
			}
			p.errs = append(p.errs, fmt.Errorf("environment variable %s is no setting of %s%s", variable, p.table.Program, hint))
			continue
		}
		p.set(opt, value{text: text, list: splitList(text)}, variable, false)
	}
}

func (t Table) knownEnv(variable string) bool {
	for _, known := range append([]string{"LORRY_TEST_*"}, t.KnownEnv...) {
		if start, wild := strings.CutSuffix(known, "*"); variable == known || wild && strings.HasPrefix(variable, start) {
			return true
		}
	}
	return false
}

// set records a value if it is acceptable.
func (p *parser) set(opt *Option, v value, source string, usage bool) {
	if opt.Unused != "" {
		p.values.warn("%s has no effect: %s", source, opt.Unused)
		return
	}
	texts := []string{v.text}
	if opt.Kind == List {
		texts = v.list
	}
	for _, text := range texts {
		err := opt.check(text)
		if err != nil && opt.Secret {
			err = errors.New("its value can't be used")
		}
		if err == nil {
			continue
		}
		if usage {
			p.usage("%s: %s", source, err)
		} else {
			p.errs = append(p.errs, fmt.Errorf("%s: %w", source, err))
		}
		return
	}
	if _, known := parseBool(v.text); opt.Kind == Bool && !known {
		p.values.warn("%s: %q is neither yes nor no; no is used", source, v.text)
	}
	e := p.values.entries[opt.Name]
	if v.add {
		v.list = append(e.list, v.list...)
	}
	e.text, e.list, e.source = v.text, v.list, source
	p.values.count++
	e.order = p.values.count
}

// readSecrets replaces NAME by the content of the file that NAME-file names,
// if that was said last.
func (p *parser) readSecrets() {
	for _, opt := range p.index.list {
		from := p.values.entries[opt.Name]
		if opt.fileOf == "" || from.text == "" {
			continue
		}
		to := p.values.entries[opt.fileOf]
		if from.order < to.order {
			continue
		}
		data, err := os.ReadFile(from.text)
		text := strings.TrimRight(string(data), "\r\n")
		if err == nil && text == "" {
			err = fmt.Errorf("%s is empty", from.text)
		}
		if err != nil {
			p.errs = append(p.errs, fmt.Errorf("%s: %w", from.source, err))
			continue
		}
		to.text, to.source = text, from.source
	}
}
