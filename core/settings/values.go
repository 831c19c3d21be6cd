package settings

import (
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// Values are the settings that were read. An accessor for a name that the
// table does not have gives the zero value.
type Values struct {
	// Args are the arguments that are not options.
	Args []string
	// Warnings are sentences for the log: settings without effect and the like.
	Warnings []string

	table       Table
	index       *options
	entries     map[string]*entry
	configFiles []string
	count       int
}

// entry is the value of one option.
type entry struct {
	opt    *Option
	text   string
	list   []string
	source string // "" while it is the default
	order  int    // the larger, the later it was said
}

func (v *Values) warn(format string, args ...any) {
	warning := fmt.Sprintf(format, args...)
	if !slices.Contains(v.Warnings, warning) {
		v.Warnings = append(v.Warnings, warning)
	}
}

func (v *Values) entry(name string) *entry {
	if opt := v.index.byName[name]; opt != nil {
		return v.entries[opt.Name]
	}
	return &entry{opt: &Option{}}
}

// IsSet reports whether anything but the default gives the option.
func (v *Values) IsSet(name string) bool { return v.entry(name).source != "" }

// Source says where the value comes from, as the start of an error message:
// "FILE:LINE: NAME", "--NAME", "LORRY_NAME", or "NAME" for a default.
func (v *Values) Source(name string) string {
	if source := v.entry(name).source; source != "" {
		return source
	}
	return name
}

// String gives the text of an option.
func (v *Values) String(name string) string { return v.entry(name).text }

// Bool gives a Bool option.
func (v *Values) Bool(name string) bool {
	value, _ := parseBool(v.entry(name).text)
	return value
}

// Int gives an Int option.
func (v *Values) Int(name string) int {
	n, _ := parseInt(v.entry(name).text) // checked when it was set
	return n
}

// Duration gives a Duration option.
func (v *Values) Duration(name string) time.Duration {
	d, _ := parseDuration(v.entry(name).text) // checked when it was set
	return d
}

// Size gives a Size option, in bytes.
func (v *Values) Size(name string) int64 {
	n, _ := parseSize(v.entry(name).text) // checked when it was set
	return n
}

// Mode gives a Mode option.
func (v *Values) Mode(name string) os.FileMode {
	m, _ := parseMode(v.entry(name).text) // checked when it was set
	return os.FileMode(m)
}

// List gives a List option.
func (v *Values) List(name string) []string { return slices.Clone(v.entry(name).list) }

// Secret gives a Secret option, whether it was given itself or as a file.
func (v *Values) Secret(name string) core.Secret { return core.NewSecret(v.entry(name).text) }

// Secrets gives every secret that is set, for redaction.
func (v *Values) Secrets() []core.Secret {
	var all []core.Secret
	for _, opt := range v.index.list {
		if text := v.entries[opt.Name].text; opt.Secret && text != "" {
			all = append(all, core.NewSecret(text))
		}
	}
	return all
}

// Log is where and how a program writes its log.
type Log struct {
	// To is a file name, or one of syslog, stderr, none.
	To string
	// Level is one of trace, debug, info, warning, error, critical, fatal.
	Level string
	// Max is the size in bytes beyond which a new file is begun; 0: never.
	Max int64
	// Keep is how many old files are kept.
	Keep int
	// Mode is that of new files.
	Mode os.FileMode
}

// Log gives the log options.
func (v *Values) Log() Log {
	return Log{
		To: v.String("log"), Level: v.String("log-level"), Max: v.Size("log-max"),
		Keep: v.Int("log-keep"), Mode: v.Mode("log-mode"),
	}
}
