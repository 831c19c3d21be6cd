package confgit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

func itoa(n int) string { return strconv.Itoa(n) }

// Bounds of a JSON file, far above any real one.
const (
	maxDepth  = 32
	maxValues = 1_000_000
	maxFile   = 16 << 20
)

// value is a JSON value with its line; objects keep the order of their keys.
type value struct {
	line  int
	kind  kind
	text  string // of a text, number or boolean
	keys  []string
	lines []int // of the keys
	items []*value
}

type kind int

const (
	nullValue kind = iota
	boolValue
	numberValue
	textValue
	listValue
	objectValue
)

// String says what the value is, for messages.
func (v *value) String() string {
	switch v.kind {
	case textValue:
		return strconv.Quote(v.text)
	case boolValue, numberValue:
		return v.text
	case listValue:
		return "a list"
	case objectValue:
		return "a map"
	default:
		return "null"
	}
}

// plain gives the value as encoding/json would.
func (v *value) plain() any {
	switch v.kind {
	case textValue:
		return v.text
	case boolValue:
		return v.text == "true"
	case numberValue:
		if n, err := strconv.ParseInt(v.text, 10, 64); err == nil {
			return n
		}
		n, _ := strconv.ParseFloat(v.text, 64) // out of range gives infinity
		return n
	case listValue:
		list := make([]any, len(v.items))
		for i, item := range v.items {
			list[i] = item.plain()
		}
		return list
	case objectValue:
		object := make(map[string]any, len(v.keys))
		for i, key := range v.keys {
			object[key] = v.items[i].plain()
		}
		return object
	default:
		return nil
	}
}

// jsonError is a mistake in the text of a JSON file.
type jsonError struct {
	line    int
	message string
}

func (e *jsonError) Error() string { return e.message }

// parseJSON reads one JSON value.
func parseJSON(data []byte) (*value, *jsonError) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	switch {
	case len(data) > maxFile:
		return nil, &jsonError{0, fmt.Sprintf("the file is larger than %d bytes: move what it says to .lorry files", maxFile)}
	case !utf8.Valid(data):
		return nil, &jsonError{lineOf(data, invalidAt(data)), "the file is not UTF-8"}
	}
	r := &jsonReader{dec: json.NewDecoder(bytes.NewReader(data)), data: data, line: 1, left: maxValues}
	r.dec.UseNumber()
	v, err := r.value(0)
	if err == nil {
		if _, more := r.dec.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is more text after the end of the JSON value")
		}
	}
	if err == nil {
		return v, nil
	}
	offset, message := int(r.dec.InputOffset()), err.Error()
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		offset, message = max(0, len(bytes.TrimRight(data, " \t\r\n"))-1), "the text ends too early"
	case errors.As(err, &syntax):
		offset = max(offset, int(syntax.Offset)-1)
	}
	return nil, &jsonError{lineOf(data, offset), "not valid JSON: " + message}
}

// lineOf gives the line of an offset; blanks before the next text count to it.
func lineOf(data []byte, offset int) int {
	offset = min(max(offset, 0), len(data))
	for offset < len(data) && bytes.IndexByte([]byte(" \t\r\n"), data[offset]) >= 0 {
		offset++
	}
	return 1 + bytes.Count(data[:offset], []byte("\n"))
}

func invalidAt(data []byte) int {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return len(data)
}

type jsonReader struct {
	dec      *json.Decoder
	data     []byte
	at, line int // the line is that of offset at
	left     int
}

// here gives the line of what was read last; offsets only grow.
func (r *jsonReader) here() int {
	offset := int(r.dec.InputOffset())
	r.line += bytes.Count(r.data[r.at:offset], []byte("\n"))
	r.at = offset
	return r.line
}

func (r *jsonReader) value(depth int) (*value, error) {
	token, err := r.dec.Token()
	if err != nil {
		return nil, err
	}
	if r.left--; r.left < 0 {
		return nil, fmt.Errorf("there are more than %d values", maxValues)
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("values are nested more than %d deep", maxDepth)
	}
	v := &value{line: r.here()}
	switch t := token.(type) {
	case json.Delim:
		return v, r.container(v, t, depth)
	case string:
		v.kind, v.text = textValue, t
	case json.Number:
		v.kind, v.text = numberValue, t.String()
	case bool:
		v.kind, v.text = boolValue, strconv.FormatBool(t)
	}
	return v, nil
}

func (r *jsonReader) container(v *value, open json.Delim, depth int) error {
	v.kind = listValue
	if open == '{' {
		v.kind = objectValue
	}
	for r.dec.More() {
		if v.kind == objectValue {
			key, err := r.value(depth + 1)
			if err != nil {
				return err
			}
			v.keys, v.lines = append(v.keys, key.text), append(v.lines, key.line)
		}
		item, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		v.items = append(v.items, item)
	}
	_, err := r.dec.Token()
	return err
}
