package sdk

import (
	"fmt"
	"maps"
	"math"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	adapterv1 "github.com/lorry-controller/lorry-controller/sdk/internal/gen/lorry/adapter/v1"
)

// decodeSettings fills a settings struct and tells everything that is wrong at
// once. The struct is whole only when no diagnostic is an error.
func decodeSettings[C any](fields []field, values map[string]any, secrets map[string][]byte, role Role) (C, []Diagnostic) {
	var c C
	var diags []Diagnostic
	complain := func(path, summary, detail string) {
		diags = append(diags, Diagnostic{Severity: SeverityError, Path: path, Summary: summary, Detail: detail})
	}
	known := map[string]field{}
	for _, f := range fields {
		known[f.name] = f
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch f, ok := known[name]; {
		case !ok:
			complain(name, fmt.Sprintf("there is no setting %q", name), "the settings are "+names(fields))
		case f.typ == adapterv1.SettingType_SETTING_TYPE_SECRET:
			complain(name, fmt.Sprintf("%q is a secret and must not stand among the settings", name),
				"give it as a reference to a file, a credential or a variable")
		case !f.in(role):
			diags = append(diags, Diagnostic{SeverityWarning, name, fmt.Sprintf("%q has no effect on a host that is %s", name, role), "remove it"})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		if f, ok := known[name]; !ok || f.typ != adapterv1.SettingType_SETTING_TYPE_SECRET {
			complain(name, fmt.Sprintf("there is no secret setting %q", name), "")
		}
	}
	target := reflect.ValueOf(&c).Elem()
	for _, f := range fields {
		value, fact := f.value(values, secrets, role)
		switch {
		case fact != "":
			complain(f.name, fact, f.doc)
		case value != nil:
			target.Field(f.index).Set(reflect.ValueOf(value))
		}
	}
	if slices.ContainsFunc(diags, isError) {
		return c, diags
	}
	if v, ok := any(&c).(Validator); ok {
		diags = append(diags, v.Validate()...)
	}
	return c, diags
}

func isError(d Diagnostic) bool { return d.Severity != SeverityWarning }

func names(fields []field) string {
	var list []string
	for _, f := range fields {
		list = append(list, f.name)
	}
	return strings.Join(list, ", ")
}

// value finds the value of a setting: nil when there is none, a fact when
// something is wrong.
func (f field) value(values map[string]any, secrets map[string][]byte, role Role) (value any, fact string) {
	missing := fmt.Sprintf("%q is missing", f.name)
	if f.typ == adapterv1.SettingType_SETTING_TYPE_SECRET {
		secret, ok := secrets[f.name]
		if f.needed(role) && len(secret) == 0 {
			return nil, missing
		}
		if !ok {
			return nil, ""
		}
		return Secret{string(secret)}, ""
	}
	raw, ok := values[f.name]
	if !ok || raw == nil {
		if f.def == "" {
			if f.needed(role) {
				return nil, missing
			}
			return nil, ""
		}
		raw = f.def
	}
	value, fact = f.convert(raw)
	switch {
	case fact != "":
		return nil, fmt.Sprintf("%q %s", f.name, fact)
	case f.needed(role) && (value == "" || reflect.DeepEqual(value, []string{})):
		return nil, fmt.Sprintf("%q is empty", f.name)
	}
	return value, ""
}

// convert makes a value of the setting's type, from JSON's types or from text
// as an INI file has it. The fact reads on after the setting's name.
func (f field) convert(raw any) (value any, fact string) {
	switch f.typ {
	case adapterv1.SettingType_SETTING_TYPE_BOOL:
		return toBool(raw)
	case adapterv1.SettingType_SETTING_TYPE_INT:
		return toInt(raw)
	case adapterv1.SettingType_SETTING_TYPE_DURATION:
		return toDuration(raw)
	case adapterv1.SettingType_SETTING_TYPE_STRING_LIST:
		return f.toList(raw)
	}
	s, ok := raw.(string)
	if !ok {
		return nil, "must be a string, not " + typeName(raw)
	}
	if f.typ == adapterv1.SettingType_SETTING_TYPE_URL {
		return toURL(s)
	}
	if fact := f.allowed(s); fact != "" {
		return nil, fact
	}
	return s, ""
}

func (f field) allowed(s string) string {
	if len(f.oneOf) == 0 || slices.Contains(f.oneOf, s) {
		return ""
	}
	return fmt.Sprintf("must be one of %s, not %q", strings.Join(f.oneOf, ", "), s)
}

func toBool(raw any) (any, string) {
	switch v := raw.(type) {
	case bool:
		return v, ""
	case string:
		switch strings.ToLower(v) {
		case "true", "yes", "on", "1":
			return true, ""
		case "false", "no", "off", "0":
			return false, ""
		}
	}
	return nil, "must be true or false"
}

func toInt(raw any) (any, string) {
	const fact = "must be a whole number"
	switch v := raw.(type) {
	case float64:
		if v != math.Trunc(v) || math.Abs(v) > 1<<53 {
			return nil, fact
		}
		return int(v), ""
	case string:
		n, err := strconv.Atoi(v)
		if err != nil {
			return nil, fact
		}
		return n, ""
	}
	return nil, fact
}

func toDuration(raw any) (any, string) {
	const fact = `must be a duration such as "90s" or "1h30m", or a number of seconds`
	seconds := math.NaN()
	switch v := raw.(type) {
	case float64:
		seconds = v
	case string:
		if d, err := time.ParseDuration(v); err == nil && d >= 0 {
			return d, ""
		}
		if n, err := strconv.ParseFloat(v, 64); err == nil {
			seconds = n
		}
	}
	if !(seconds >= 0 && seconds <= math.MaxInt64/float64(2*time.Second)) {
		return nil, fact
	}
	return time.Duration(seconds * float64(time.Second)), ""
}

func toURL(s string) (any, string) {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme == "" || u.Host == "" && u.Scheme != "file":
		return nil, `must be an absolute URL such as "https://git.example.com/"`
	case u.User != nil:
		return nil, "must not have a user or password in the URL"
	}
	return u, ""
}

func (f field) toList(raw any) (any, string) {
	list := []string{}
	switch v := raw.(type) {
	case string:
		for item := range strings.SplitSeq(v, ",") {
			if item = strings.TrimSpace(item); item != "" {
				list = append(list, item)
			}
		}
	case []any:
		for _, item := range v {
			s, ok := item.(string)
			if !ok {
				return nil, "must be a list of strings; one item is " + typeName(item)
			}
			list = append(list, s)
		}
	default:
		return nil, "must be a list of strings, not " + typeName(raw)
	}
	for _, item := range list {
		if fact := f.allowed(item); fact != "" {
			return nil, fact
		}
	}
	return list, ""
}

func typeName(raw any) string {
	switch raw.(type) {
	case bool:
		return "a boolean"
	case float64:
		return "a number"
	case string:
		return "a string"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	default:
		return "nothing"
	}
}
