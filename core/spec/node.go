package spec

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"

	"gopkg.in/yaml.v3"
)

// node is a value of a JSON or YAML text with its line. Scalars keep their
// text, so that a typed reader decides what "no" or "1" means.
type node struct {
	line  int
	kind  nodeKind
	text  string  // of a scalar
	keys  []*node // of a mapping, beside values
	items []*node // of a list, or the values of a mapping
}

type nodeKind int

const (
	nullNode nodeKind = iota
	scalarNode
	listNode
	mapNode
)

func (n *node) what() string {
	switch n.kind {
	case scalarNode:
		return strconv.Quote(n.text)
	case listNode:
		return "a list"
	case mapNode:
		return "a mapping"
	}
	return "nothing"
}

// Bounds of a text: far above any real one, and low enough that a hostile one
// (nested or multiplied by aliases) costs nothing. Every value of a text has a
// byte at least; aliases may make a few times as many.
const (
	maxDepth = 32
	maxNodes = 200_000
	// manyAliases bounds what aliases make of each byte.
	manyAliases = 10
	// MaxSize is how large a .lorry file may be, in bytes.
	MaxSize = 8 << 20
)

// syntaxError is a fault of the text itself.
type syntaxError struct {
	line    int
	message string
}

func (e *syntaxError) Error() string { return e.message }

// parseText reads JSON, or YAML when it is no JSON. If it is neither, the
// error is that of the language that the text looks like.
func parseText(data []byte) (*node, *syntaxError) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if len(data) > MaxSize {
		return nil, &syntaxError{0, fmt.Sprintf("the file is larger than %d bytes: split it", MaxSize)}
	}
	n, jerr := parseJSON(data)
	if jerr == nil {
		return n, nil
	}
	n, yerr := parseYAML(data)
	if yerr == nil {
		return n, nil
	}
	if first := bytes.TrimLeft(data, " \t\r\n"); len(first) > 0 && (first[0] == '{' || first[0] == '[') {
		return nil, jerr
	}
	return nil, yerr
}

// lines turns offsets that only grow into line numbers.
type lines struct {
	data []byte
	at   int
	line int
}

func (l *lines) of(offset int) int {
	offset = min(max(offset, l.at), len(l.data))
	l.line += bytes.Count(l.data[l.at:offset], []byte("\n"))
	l.at = offset
	return l.line
}

func tooMuch(depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("values are nested more than %d deep", maxDepth)
	}
	return errors.New("there are too many values: split the file")
}

type jsonReader struct {
	dec   *json.Decoder
	lines lines
	left  int
}

func parseJSON(data []byte) (*node, *syntaxError) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	r := &jsonReader{dec: dec, lines: lines{data: data, line: 1}, left: maxNodes}
	n, err := r.value(0)
	if err == nil {
		if _, more := dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is more text after the end of the JSON value")
		}
	}
	if err == nil {
		return n, nil
	}
	offset := int(dec.InputOffset())
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		offset = max(offset, int(syntax.Offset))
	}
	message := err.Error()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		offset, message = len(data), "the text ends too early"
	}
	line := 1 + bytes.Count(data[:min(max(offset-1, 0), len(data))], []byte("\n"))
	return nil, &syntaxError{line, "not valid JSON: " + message}
}

func (r *jsonReader) value(depth int) (*node, error) {
	tok, err := r.dec.Token()
	if err != nil {
		return nil, err
	}
	if r.left--; r.left < 0 || depth > maxDepth {
		return nil, tooMuch(depth)
	}
	n := &node{line: r.lines.of(int(r.dec.InputOffset()))}
	switch v := tok.(type) {
	case json.Delim:
		return n, r.container(n, v, depth)
	case nil:
		n.kind = nullNode
	case string:
		n.kind, n.text = scalarNode, v
	default:
		n.kind, n.text = scalarNode, fmt.Sprint(v)
	}
	return n, nil
}

func (r *jsonReader) container(n *node, open json.Delim, depth int) error {
	n.kind = listNode
	if open == '{' {
		n.kind = mapNode
	}
	for r.dec.More() {
		if n.kind == mapNode {
			key, err := r.value(depth + 1)
			if err != nil {
				return err
			}
			n.keys = append(n.keys, key)
		}
		item, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		n.items = append(n.items, item)
	}
	_, err := r.dec.Token()
	return err
}

type yamlReader struct{ left int }

var yamlLine = regexp.MustCompile(`^(?:yaml: )?line (\d+): `)

func parseYAML(data []byte) (*node, *syntaxError) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return &node{line: 1}, nil
		}
		return nil, yamlError(err)
	}
	if err := dec.Decode(&more); err == nil {
		return nil, &syntaxError{more.Line, "there is more than one YAML document in the file"}
	} else if !errors.Is(err, io.EOF) {
		return nil, yamlError(err)
	}
	r := &yamlReader{left: min(maxNodes, manyAliases*(len(data)+1))}
	n, err := r.convert(&doc, 0)
	if err != nil {
		return nil, yamlError(err)
	}
	return n, nil
}

func yamlError(err error) *syntaxError {
	message, line := err.Error(), 0
	if m := yamlLine.FindStringSubmatch(message); m != nil {
		line, _ = strconv.Atoi(m[1])
		message = message[len(m[0]):]
	}
	return &syntaxError{line, "neither JSON nor valid YAML: " + message}
}

func (r *yamlReader) convert(y *yaml.Node, depth int) (*node, error) {
	if r.left--; r.left < 0 || depth > maxDepth {
		return nil, tooMuch(depth)
	}
	n := &node{line: y.Line}
	switch y.Kind {
	case yaml.DocumentNode:
		if len(y.Content) == 0 {
			return n, nil
		}
		return r.convert(y.Content[0], depth)
	case yaml.AliasNode:
		return r.convert(y.Alias, depth+1)
	case yaml.ScalarNode:
		if y.ShortTag() != "!!null" {
			n.kind, n.text = scalarNode, y.Value
		}
		return n, nil
	case yaml.MappingNode:
		n.kind = mapNode
	case yaml.SequenceNode:
		n.kind = listNode
	}
	for i, item := range y.Content {
		c, err := r.convert(item, depth+1)
		if err != nil {
			return nil, err
		}
		if n.kind == mapNode && i%2 == 0 {
			n.keys = append(n.keys, c)
		} else {
			n.items = append(n.items, c)
		}
	}
	return n, nil
}
