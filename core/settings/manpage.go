package settings

import (
	"fmt"
	"strings"
)

// manPage is the program's page for man, made of the table alone: what --help
// says, in the markup of man(7).
func (v *Values) manPage() string {
	var out strings.Builder
	name := v.table.Program
	usage := strings.Fields(v.table.Command + " [options] " + v.table.Usage)
	fmt.Fprintf(&out, ".TH %s 1 \"\" %s\n.SH NAME\n%s\n", roff(strings.ToUpper(name)), quoteRoff(name+" "+v.table.Version), roff(name))
	fmt.Fprintf(&out, ".SH SYNOPSIS\n.B %s\n%s\n", roff(name), roff(strings.Join(usage, " ")))
	if v.table.Summary != "" {
		out.WriteString(".SH DESCRIPTION\n")
		for paragraph := range strings.SplitSeq(v.table.Summary, "\n\n") {
			fmt.Fprintf(&out, ".PP\n%s\n", roff(strings.Join(strings.Fields(paragraph), " ")))
		}
	}
	out.WriteString(".SH OPTIONS\nIn configuration files they are written without the dashes, in the section [config].\n")
	for _, opt := range v.index.list {
		if opt.Unused == "" {
			fmt.Fprintf(&out, ".TP\n.B %s\n%s\n", roff(opt.usage()), roff(opt.describe()))
		}
	}
	out.WriteString(".SH FILES\nRead in this order, where they exist; what comes later wins, and the command line before all:\n")
	for _, file := range v.configFiles {
		fmt.Fprintf(&out, ".br\n%s\n", roff(file))
	}
	return out.String()
}

// roff writes text so that nothing in it is markup.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		text = `\&` + text
	}
	return text
}

func quoteRoff(text string) string { return `"` + strings.ReplaceAll(roff(text), `"`, `""`) + `"` }
