package settings

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
)

// Inform writes what --help, --version, --manual, --dump-config, --dump-setting-names or
// --list-config-files asks for, to stdout or to the file that --output names.
// It reports whether anything was asked; the program then has nothing else to
// do.
func (v *Values) Inform(stdout io.Writer) (bool, error) {
	text := ""
	switch {
	case v.Bool("help"), v.Bool("help-all"):
		text = v.help(v.Bool("help-all"))
	case v.Bool("version"):
		text = v.table.Program + " " + v.table.Version + "\n"
	case v.Bool("dump-setting-names"):
		text = v.names()
	case v.Bool("list-config-files"):
		for _, file := range v.configFiles {
			text += file + "\n"
		}
	case v.Bool("manual"):
		text = v.manPage()
	case v.Bool("dump-config"):
		text = v.dump()
	default:
		return false, nil
	}
	if file := v.String("output"); file != "" {
		return true, os.WriteFile(file, []byte(text), 0o600)
	}
	_, err := io.WriteString(stdout, text)
	return true, err
}

func (v *Values) names() string {
	var out strings.Builder
	for _, opt := range v.index.list {
		if !opt.action {
			fmt.Fprintln(&out, opt.Name)
		}
	}
	return out.String()
}

// dump prints the configuration as a file that could be read again, but for
// the secrets.
func (v *Values) dump() string {
	var out strings.Builder
	out.WriteString("[config]\n")
	for _, opt := range v.index.list {
		e := v.entries[opt.Name]
		if opt.action || opt.Unused != "" {
			continue
		}
		text := e.text
		switch {
		case opt.Kind == List:
			text = joinList(e.list)
		case opt.Kind == Bool:
			text = "no"
			if v.Bool(opt.Name) {
				text = "yes"
			}
		case opt.Secret && text != "":
			text = "[secret]"
		}
		text = strings.ReplaceAll(withoutPasswords(text), "%", "%%")
		if text == "" {
			fmt.Fprintf(&out, "# %s =\n", opt.Name)
			continue
		}
		fmt.Fprintf(&out, "%s = %s\n", opt.Name, strings.ReplaceAll(text, "\n", "\n  "))
	}
	return out.String()
}

// The user information of a URL, and a token alone in that place.
var (
	userinfo  = regexp.MustCompile(`(://[^/@\s:]*):[^/@\s]*@`)
	loneToken = regexp.MustCompile(`(?i)(https?://)[^/@\s:]+@`)
)

func withoutPasswords(text string) string {
	text = userinfo.ReplaceAllString(text, "$1:[secret]@")
	return loneToken.ReplaceAllString(text, "$1[secret]@")
}

func (v *Values) help(all bool) string {
	var out strings.Builder
	usage := strings.Fields(v.table.Program + " " + v.table.Command + " [options] " + v.table.Usage)
	fmt.Fprintf(&out, "Usage: %s\n", strings.Join(usage, " "))
	if v.table.Summary != "" {
		fmt.Fprintf(&out, "\n%s\n", v.table.Summary)
	}
	out.WriteString("\nOptions (in configuration files without the dashes):\n")
	for _, opt := range v.index.list {
		if opt.Unused != "" && !all {
			continue
		}
		fmt.Fprintf(&out, "  %s\n", opt.usage())
		for _, line := range wrap(opt.describe(), 70) {
			fmt.Fprintf(&out, "        %s\n", line)
		}
	}
	return out.String()
}

// usage is how an option is written on the command line.
func (o *Option) usage() string {
	text := "--" + o.Name
	if o.Kind == Bool {
		if !o.action {
			text += ", --no-" + o.Name
		}
	} else {
		metavar := o.Metavar
		if metavar == "" {
			metavar = "VALUE"
		}
		text += "=" + metavar
	}
	if o.Short != "" {
		text = "-" + o.Short + ", " + text
	}
	return text
}

func (o *Option) describe() string {
	if o.Unused != "" {
		return "Has no effect: " + o.Unused + "."
	}
	text := o.Doc
	if len(o.Choices) > 0 {
		text += " One of " + strings.Join(o.Choices, ", ") + "."
	}
	if o.Kind == List && !o.action {
		text += " May be repeated."
	}
	if o.Default != "" && !o.Secret {
		text += " Default: " + o.Default + "."
	}
	if o.Reread {
		text += " Read again by a reload."
	}
	if len(o.Aliases) > 0 {
		text += " Also: " + strings.Join(o.Aliases, ", ") + "."
	}
	return text
}

// wrap breaks text into lines of at most width bytes, at spaces.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}
