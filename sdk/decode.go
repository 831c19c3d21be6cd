package sdk

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	adapterv1 "github.com/lorry-controller/lorry-controller/sdk/internal/gen/lorry/adapter/v1"
	decode "github.com/lorry-controller/lorry-controller/sdk/internal/value"
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
	value, fact = decode.Decode(f.typ, f.oneOf, raw)
	switch {
	case fact != "":
		return nil, fmt.Sprintf("%q %s", f.name, fact)
	case f.needed(role) && (value == "" || reflect.DeepEqual(value, []string{})):
		return nil, fmt.Sprintf("%q is empty", f.name)
	}
	return value, ""
}
