package exchange

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// Form is what a client sent with its request: the fields of an urlencoded or
// multipart body, or the members of a JSON object, and behind them the fields
// of the URL's query. A field that was not sent reads as "".
type Form struct {
	values map[string][]string
	raw    json.RawMessage
}

// Get gives the first value of a field, or "".
func (f Form) Get(key string) string {
	if v := f.values[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// First gives the first value that is not empty of several names of one field.
func (f Form) First(keys ...string) string {
	for _, key := range keys {
		if v := f.Get(key); v != "" {
			return v
		}
	}
	return ""
}

// All gives every value of a field.
func (f Form) All(key string) []string { return slices.Clone(f.values[key]) }

// Has reports whether the field was sent, even empty.
func (f Form) Has(key string) bool {
	_, ok := f.values[key]
	return ok
}

// JSON gives the body when it was JSON, or nil.
func (f Form) JSON() json.RawMessage { return f.raw }

// Int gives a field as a decimal number. A missing or unreadable one is
// core.KindInvalid with the field's name.
func (f Form) Int(key string) (int64, error) {
	text := strings.TrimSpace(f.Get(key))
	if text == "" {
		return 0, &core.Error{
			Kind: core.KindInvalid, Fact: "field " + strconv.Quote(key) + " is missing",
			Hint: "send it as a form field, such as " + key + "=1, or as a member of a JSON object",
		}
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, &core.Error{
			Kind: core.KindInvalid, Fact: fmt.Sprintf("field %q must be a decimal number, not %q", key, core.Clip(text, mostQuoted)),
			Hint: "send digits alone, such as " + key + "=1",
		}
	}
	return n, nil
}

// maxFields bounds how many fields of a body are looked at, so that a body of
// separators does not become millions of entries.
const maxFields = 100_000

// ParseBody reads a body that was sent with the given content type. Any type
// that is neither multipart nor JSON is read as urlencoded, as the original
// did; a body that is a JSON object or list is recognised without its type,
// because curl -d names the wrong one.
func ParseBody(contentType string, body []byte) (Form, error) {
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		media = ""
	}
	switch {
	case strings.HasPrefix(media, "multipart/"):
		return parseMultipart(body, params["boundary"])
	case media == "application/json" || strings.HasSuffix(media, "+json"):
		return parseJSON(body)
	case looksLikeJSON(body):
		return parseJSON(body)
	default:
		return Form{values: parseFields(string(body))}, nil
	}
}

func looksLikeJSON(body []byte) bool {
	trimmed := bytes.TrimLeft(body, " \t\r\n")
	return len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[') && json.Valid(trimmed)
}

// parseFields splits an urlencoded text. Only "&" separates; a broken escape
// stands for itself, since losing a field helps nobody.
func parseFields(text string) map[string][]string {
	values := map[string][]string{}
	for range maxFields {
		if text == "" {
			break
		}
		var field string
		field, text, _ = strings.Cut(text, "&")
		if field == "" {
			continue
		}
		key, value, _ := strings.Cut(field, "=")
		key = Text(unescape(key))
		values[key] = append(values[key], Text(unescape(value)))
	}
	return values
}

func unescape(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b.WriteByte(' ')
		case s[i] == '%' && i+2 < len(s):
			n, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				b.WriteByte('%')
				continue
			}
			b.WriteByte(byte(n))
			i += 2
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// Text makes a text that a client sent fit for the STATEDB and for JSON: bytes
// that are not UTF-8, and NUL, which PostgreSQL can't hold, become U+FFFD. The
// rest stays readable.
func Text(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	return strings.ReplaceAll(s, "\x00", "\uFFFD")
}

func parseMultipart(body []byte, boundary string) (Form, error) {
	if boundary == "" {
		return Form{}, core.Errorf(core.KindInvalid, "multipart body without a boundary")
	}
	form := Form{values: map[string][]string{}}
	reader := multipart.NewReader(bytes.NewReader(body), boundary)
	for range maxFields {
		part, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			return form, nil
		}
		if err != nil {
			return Form{}, core.Errorf(core.KindInvalid, "multipart body can't be read: %w", err)
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return Form{}, core.Errorf(core.KindInvalid, "multipart body can't be read: %w", err)
		}
		if key := Text(part.FormName()); key != "" {
			form.values[key] = append(form.values[key], Text(string(value)))
		}
	}
	return form, nil
}

func parseJSON(body []byte) (Form, error) {
	form := Form{values: map[string][]string{}}
	if len(bytes.TrimSpace(body)) == 0 {
		return form, nil
	}
	if !json.Valid(body) {
		var v any
		return Form{}, core.Errorf(core.KindInvalid, "body is not valid JSON: %w", json.Unmarshal(body, &v))
	}
	form.raw = body
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return form, nil // a list: the route decides whether it wants one
	}
	for key, value := range members {
		if values, ok := fieldValues(value); ok {
			form.values[Text(key)] = values
		}
	}
	return form, nil
}

// fieldValues gives the form's idea of a JSON value: a scalar is one text,
// a list of scalars several, null an empty text; an object has none.
func fieldValues(raw json.RawMessage) ([]string, bool) {
	if text, ok := scalar(raw); ok {
		return []string{text}, true
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return nil, false
	}
	values := make([]string, 0, len(list))
	for _, item := range list {
		text, ok := scalar(item)
		if !ok {
			return nil, false
		}
		values = append(values, text)
	}
	return values, true
}

func scalar(raw json.RawMessage) (string, bool) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 {
		return "", false
	}
	switch raw[0] {
	case '{', '[':
		return "", false
	case '"':
		var text string
		if json.Unmarshal(raw, &text) != nil {
			return "", false
		}
		return Text(text), true
	case 'n':
		return "", true
	default: // a number or a boolean
		return string(raw), true
	}
}

// withQuery adds the fields of the URL's query that the body does not have.
func (f Form) withQuery(u *url.URL) Form {
	for key, values := range parseFields(u.RawQuery) {
		if f.values == nil {
			f.values = map[string][]string{}
		}
		if _, ok := f.values[key]; !ok {
			f.values[key] = values
		}
	}
	return f
}

const (
	// smallBody is how much of a body is read whatever else is read.
	smallBody = 32 << 10
	// bodyPart is what a longer body is read in.
	bodyPart = 256 << 10
	// bodyBudget bounds what is read of all longer bodies at a time.
	bodyBudget = 24 << 20
)

// Bodies reads the bodies of requests, so that many clients that send long ones
// slowly take no more memory than a few.
type Bodies struct {
	limit int64
	taken atomic.Int64 // of bodyBudget
}

// NewBodies makes a reader of bodies of at most limit bytes each.
func NewBodies(limit int64) *Bodies { return &Bodies{limit: limit} }

// Form reads the whole body of r and the query. A body that is longer than the
// limit gives *http.MaxBytesError, without being read when it says so before.
func (b *Bodies) Form(w http.ResponseWriter, r *http.Request) (Form, error) {
	var form Form
	if r.Body != nil && r.Method != http.MethodGet && r.Method != http.MethodHead {
		body, err := b.read(w, r)
		if err != nil {
			return Form{}, err
		}
		if form, err = ParseBody(r.Header.Get("Content-Type"), body); err != nil {
			return Form{}, err
		}
	}
	return form.withQuery(r.URL), nil
}

func (b *Bodies) read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > b.limit {
		return nil, &http.MaxBytesError{Limit: b.limit}
	}
	limited := http.MaxBytesReader(w, r.Body, b.limit)
	length := int64(smallBody)
	if r.ContentLength >= 0 {
		length = min(r.ContentLength+1, smallBody) // room to see the end
	}
	small, whole, err := readPart(limited, length)
	if err != nil || whole {
		return small, err
	}
	parts := [][]byte{small}
	budget := max(bodyBudget, b.limit+bodyPart) // one fits in any case
	for taken := int64(0); ; {
		if b.taken.Add(bodyPart) > budget {
			b.taken.Add(-bodyPart - taken)
			return nil, &core.Error{
				Kind: core.KindUnavailable, Fact: "too many long bodies come at a time", Hint: "try again", RetryAfter: time.Second,
			}
		}
		taken += bodyPart
		part, whole, err := readPart(limited, bodyPart)
		parts = append(parts, part)
		if err != nil || whole {
			b.taken.Add(-taken)
			return bytes.Join(parts, nil), err
		}
	}
}

// readPart reads length bytes, or less when that is the whole. Unlike
// io.ReadFull it tells the end of a body from one that was cut off.
func readPart(r io.Reader, length int64) (part []byte, whole bool, err error) {
	part = make([]byte, length)
	n := 0
	for n < len(part) {
		m, err := r.Read(part[n:])
		n += m
		if errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return part[:n], true, nil
		}
		if err != nil {
			return part[:n], false, err
		}
	}
	return part, false, nil
}

// mostQuoted is how much of a value is repeated, in characters.
const mostQuoted = 60
