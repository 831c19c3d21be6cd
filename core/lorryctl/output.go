package lorryctl

import (
	"bytes"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

func (a *app) checkFormat() error {
	switch a.format {
	case "table", "json", "yaml":
		return nil
	}
	return usagef("--output must be table, json or yaml, not %q", a.format)
}

// show prints an answer: as it came for JSON and YAML, through table otherwise.
func (a *app) show(raw json.RawMessage, table func(json.RawMessage) (string, error)) error {
	var text string
	var err error
	switch a.format {
	case "json":
		text, err = indented(raw)
	case "yaml":
		text, err = asYAML(raw)
	default:
		text, err = table(raw)
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(a.stdout, text)
	return err
}

func indented(raw json.RawMessage) (string, error) {
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		return "", err
	}
	return out.String() + "\n", nil
}

// asYAML keeps the order of keys and the exact numbers.
func asYAML(raw json.RawMessage) (string, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	node, err := yamlNode(decoder)
	if err != nil {
		return "", err
	}
	text, err := yaml.Marshal(node)
	return string(text), err
}

// yamlNode turns the next value of a JSON text into one of YAML.
func yamlNode(decoder *json.Decoder) (*yaml.Node, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	switch token := token.(type) {
	case json.Delim:
		node := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		if token == '{' {
			node.Kind, node.Tag = yaml.MappingNode, "!!map"
		}
		for decoder.More() { // keys and values take turns
			child, err := yamlNode(decoder)
			if err != nil {
				return nil, err
			}
			node.Content = append(node.Content, child)
		}
		_, err := decoder.Token()
		return node, err
	case string:
		node := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: token}
		if strings.TrimSpace(token) != token {
			node.Style = yaml.DoubleQuotedStyle // blanks at either end would get lost in a block
		}
		return node, nil
	case json.Number:
		tag := "!!int"
		if strings.ContainsAny(token.String(), ".eE") {
			tag = "!!float"
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: token.String()}, nil
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(token)}, nil
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}, nil
}

// cell makes a text from elsewhere fit for one line of a terminal: it can
// neither move the cursor nor start a new line.
func cell(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, text)
}

// plain does the same for a text of several lines.
func plain(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}

// table is rows of cells below a heading.
type table struct {
	heading []string
	rows    [][]string
	// colour gives the escape code for a cell, or ""; it may be nil.
	colour func(column int, text string) string
}

func (t *table) add(cells ...string) {
	for i := range cells {
		cells[i] = cell(cells[i])
	}
	t.rows = append(t.rows, cells)
}

// text lays the table out. The last column is as wide as it likes.
func (t *table) text(colours bool) string {
	widths := make([]int, len(t.heading))
	for _, row := range append([][]string{t.heading}, t.rows...) {
		for i, c := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	var out strings.Builder
	for n, row := range append([][]string{t.heading}, t.rows...) {
		for i, c := range row {
			code := ""
			if colours && n == 0 {
				code = bold
			} else if colours && t.colour != nil {
				code = t.colour(i, c)
			}
			out.WriteString(painted(c, code))
			if i < len(row)-1 {
				out.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c)+2))
			}
		}
		out.WriteByte('\n')
	}
	return out.String()
}

// Escape codes of a terminal.
const (
	bold   = "\x1b[1m"
	red    = "\x1b[31m"
	green  = "\x1b[32m"
	yellow = "\x1b[33m"
	normal = "\x1b[0m"
)

func painted(text, code string) string {
	if code == "" || text == "" {
		return text
	}
	return code + text + normal
}

// stateColour paints the words that say how something is.
func stateColour(_ int, text string) string {
	switch text {
	case "failed", "failing", "lost", "broken", "error", "silent", "stopped (nothing new begins)":
		return red
	case "running", "succeeded", "ready", "ok", "idle", "busy":
		return green
	case "held", "stopping", "backoff", "warning", "returned", "draining", "drained":
		return yellow
	}
	return ""
}

// fact is one line of a list of facts.
type fact struct{ name, value string }

// facts lists what is known of one thing; empty values are left out.
func (a *app) facts(list ...fact) string {
	width := 0
	for _, f := range list {
		if f.value != "" {
			width = max(width, len(f.name))
		}
	}
	var out strings.Builder
	for _, f := range list {
		if f.value == "" {
			continue
		}
		code := ""
		if a.colours {
			code = stateColour(0, f.value)
		}
		out.WriteString(f.name + ":" + strings.Repeat(" ", width-len(f.name)+1) + painted(cell(f.value), code) + "\n")
	}
	return out.String()
}
