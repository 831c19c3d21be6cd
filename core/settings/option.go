package settings

import (
	"fmt"
	"sort"
	"strings"
)

// Kind says what text an option takes.
type Kind int

// The kinds of option. In a file, a List is separated by commas (a comma
// between double quotes is literal); on the command line it is repeated, and
// the first use replaces what the files say.
const (
	String   Kind = iota
	Bool          // yes, on, 1, true; --name and --no-name on the command line
	Int           // a whole number, not negative
	Duration      // seconds, or a number with s, m, h or d
	Size          // bytes; k m g t are powers of 1000, ki mi gi ti of 1024
	Mode          // a file mode in octal
	List          // several texts
)

// Option is one setting of a program.
type Option struct {
	// Name is written the same in files and, behind "--", on the command line.
	Name string
	// Aliases are older names that still work.
	Aliases []string
	// Short is a one-letter form, or "".
	Short string
	Kind  Kind
	// Default is the text that counts when nothing sets the option.
	Default string
	// Choices are the only texts that are accepted; empty means any.
	Choices []string
	// Doc is one or two sentences for --help.
	Doc string
	// Metavar names the value in --help, such as FILE.
	Metavar string
	// Secret keeps the value out of everything that is printed. A secret option
	// also has the form NAME-file, which names a file that holds it.
	Secret bool
	// NotOnCommandLine refuses the option there, since other users of the machine
	// would see it. Files and LORRY_* variables set it.
	NotOnCommandLine bool
	// Reread says that the option counts from the next reload on, without a
	// restart. So does its NAME-file form.
	Reread bool
	// Unused says why the option has no effect any more. It is accepted, with
	// a warning.
	Unused string
	// Check refuses a text with a lower-case reason; nil accepts every text
	// that fits the kind.
	Check func(text string) error

	fileOf string // this is the NAME-file form of that option
	action bool   // this asks for information, such as --help
}

// Table lists the options of one program. The options that every program has
// (config, log, help …) are added to it, unless it has its own of that name.
type Table struct {
	// Program is the program's name.
	Program string
	// ConfigName is the name by which default configuration files are found
	// (/etc/NAME.conf …); "" means Program.
	ConfigName string
	// Version is what --version prints behind the program's name.
	Version string
	// Command is what comes before the options in the usage line, such as
	// "[COMMAND]".
	Command string
	// Usage is what follows the options in the usage line, such as "SPECFILE...".
	Usage string
	// Summary says what the program does; it opens --help.
	Summary string
	Options []Option
	// KnownEnv lists LORRY_* variables that belong to somebody else and are
	// left alone. A trailing "*" stands for any rest.
	KnownEnv []string
	// Etc is the directory of the system's configuration; "" means /etc.
	Etc string
}

// UsageError is a mistake on the command line, as opposed to one in a file.
type UsageError struct {
	Program string
	Problem string
}

// Error implements error.
func (e *UsageError) Error() string {
	return e.Problem + "; see " + e.Program + " --help"
}

// options indexes a table for parsing.
type options struct {
	list   []*Option // in the order of --help
	byName map[string]*Option
	short  map[string]*Option
}

func (t Table) index() *options {
	idx := &options{byName: map[string]*Option{}, short: map[string]*Option{}}
	own := map[string]bool{}
	for _, opt := range t.Options {
		own[opt.Name] = true
		idx.add(opt)
		if opt.Secret {
			idx.add(Option{
				Name: opt.Name + "-file", Metavar: "FILE", fileOf: opt.Name, Reread: opt.Reread,
				Doc: "Read " + opt.Name + " from FILE instead.",
			})
		}
	}
	for _, opt := range commonOptions() {
		if !own[opt.Name] {
			idx.add(opt)
		}
	}
	return idx
}

func (x *options) add(opt Option) {
	x.list = append(x.list, &opt)
	x.byName[opt.Name] = &opt
	for _, alias := range opt.Aliases {
		x.byName[alias] = &opt
	}
	if opt.Short != "" {
		x.short[opt.Short] = &opt
	}
}

// long finds the option for a name given on the command line, which may be
// any prefix that fits one option only. negated is set for --no-NAME.
func (x *options) long(name string) (opt *Option, negated bool, err error) {
	if opt, negated = x.exact(name); opt != nil {
		return opt, negated, nil
	}
	var found []string
	hits := map[*Option]bool{}
	for known, o := range x.byName {
		forms := []string{known}
		if o.Kind == Bool && !o.action {
			forms = append(forms, "no-"+known)
		}
		for _, form := range forms {
			if strings.HasPrefix(form, name) {
				found = append(found, form)
				hits[o] = true
			}
		}
	}
	switch {
	case len(found) == 1, len(hits) == 1 && !mixed(found):
		opt, negated = x.exact(found[0])
		return opt, negated, nil
	case len(found) == 0:
		return nil, false, fmt.Errorf("no such option: --%s%s", name, x.suggest(name, "--"))
	}
	sort.Strings(found)
	return nil, false, fmt.Errorf("ambiguous option: --%s (--%s?)", name, strings.Join(found, ", --"))
}

// mixed reports whether the names say both yes and no of a boolean.
func mixed(names []string) bool {
	no := 0
	for _, name := range names {
		if strings.HasPrefix(name, "no-") {
			no++
		}
	}
	return no != 0 && no != len(names)
}

func (x *options) exact(name string) (*Option, bool) {
	if opt := x.byName[name]; opt != nil {
		return opt, false
	}
	if rest, ok := strings.CutPrefix(name, "no-"); ok {
		if opt := x.byName[rest]; opt != nil && opt.Kind == Bool && !opt.action {
			return opt, true
		}
	}
	return nil, false
}

// suggest names the option that was probably meant.
func (x *options) suggest(name, prefix string) string {
	best, least := "", len(name)/3+2
	for known, opt := range x.byName {
		d := distance(name, known)
		if opt.Unused == "" && (d < least || d == least && best != "" && known < best) {
			best, least = known, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", prefix+best)
}

// distance counts the letters to insert, delete or change from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// commonOptions are the options of every program.
func commonOptions() []Option {
	const noDump = "memory is not dumped any more"
	return []Option{
		{Name: "config", Kind: List, Metavar: "FILE", action: true, Doc: "Read FILE as well; may be repeated. A file that is missing is an error."},
		{Name: "no-default-configs", Kind: Bool, action: true, Doc: "Do not read the default configuration files."},
		{Name: "help", Short: "h", Kind: Bool, action: true, Doc: "Print this help."},
		{Name: "help-all", Kind: Bool, action: true, Doc: "Print this help and the options that have no effect any more."},
		{Name: "manual", Kind: Bool, action: true, Doc: "Print the manual page, in the markup of man."},
		{Name: "version", Kind: Bool, action: true, Doc: "Print the version."},
		{Name: "dump-config", Kind: Bool, action: true, Doc: "Print the whole configuration, without secrets."},
		{Name: "dump-setting-names", Kind: Bool, action: true, Doc: "Print the names of all settings."},
		{Name: "list-config-files", Kind: Bool, action: true, Doc: "Print the configuration files that would be read."},
		{Name: "output", Metavar: "FILE", Doc: "Write what the options above print to FILE."},
		{Name: "log", Default: "stderr", Metavar: "FILE", Doc: "Log to FILE, or to syslog, stderr or none."},
		{
			Name: "log-level", Default: "info", Metavar: "LEVEL", Choices: []string{"trace", "debug", "info", "warning", "error", "critical", "fatal"},
			Doc: "Log what is at least as important as LEVEL.",
		},
		{Name: "log-max", Kind: Size, Default: "0", Metavar: "SIZE", Doc: "Start a new log file when it would grow beyond SIZE; 0 means never."},
		{Name: "log-keep", Kind: Int, Default: "10", Metavar: "N", Doc: "Keep N old log files."},
		{Name: "log-mode", Kind: Mode, Default: "0600", Metavar: "MODE", Doc: "Create log files with this mode, in octal."},
		{Name: "memory-dump-interval", Kind: Duration, Metavar: "SECONDS", Unused: noDump},
		{Name: "dump-memory-profile", Metavar: "METHOD", Unused: noDump},
		{Name: "generate-manpage", Metavar: "TEMPLATE", Unused: "see manual"},
	}
}
