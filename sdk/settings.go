package sdk

import (
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"time"

	adapterv1 "github.com/lorry-controller/lorry-controller/sdk/internal/gen/lorry/adapter/v1"
	"github.com/lorry-controller/lorry-controller/sdk/internal/value"
)

// field is one setting, read off a struct field:
//
//	Path  string     `setting:"path" doc:"…" required:"true" role:"upstream"`
//	Mode  string     `setting:"mode" doc:"…" default:"all" oneof:"all,public"`
//	Token sdk.Secret `setting:"token" doc:"…"`
//
// A struct field without a setting tag is no setting.
type field struct {
	name     string
	doc      string
	typ      adapterv1.SettingType
	required bool
	def      string
	oneOf    []string
	roles    []Role
	index    int
}

// schemaOf reads the settings off a struct type and tells what is wrong with it.
func schemaOf(t reflect.Type) (fields []field, problems []string) {
	if t.Kind() != reflect.Struct {
		return nil, []string{fmt.Sprintf("the settings are a %v, not a struct", t)}
	}
	for i := range t.NumField() {
		sf := t.Field(i)
		name, ok := sf.Tag.Lookup("setting")
		if !ok {
			continue
		}
		f, err := fieldOf(sf, name)
		if err == nil && slices.ContainsFunc(fields, func(o field) bool { return o.name == name }) {
			err = fmt.Errorf("there are two settings of this name")
		}
		if err != nil {
			problems = append(problems, fmt.Sprintf("setting %q: %v", name, err))
			continue
		}
		f.index = i
		fields = append(fields, f)
	}
	return fields, problems
}

func fieldOf(sf reflect.StructField, name string) (field, error) {
	f := field{name: name, doc: sf.Tag.Get("doc"), def: sf.Tag.Get("default"), required: sf.Tag.Get("required") == "true"}
	if !nameRE.MatchString(name) {
		return f, fmt.Errorf("the name is not lower-case letters, digits and single dashes")
	}
	if !sf.IsExported() {
		return f, fmt.Errorf("the struct field %s is not exported", sf.Name)
	}
	if f.doc == "" {
		return f, fmt.Errorf("there is no doc tag")
	}
	if f.typ = settingType(sf.Type); f.typ == adapterv1.SettingType_SETTING_TYPE_UNSPECIFIED {
		return f, fmt.Errorf("the type %v is not one of string, bool, int, time.Duration, *url.URL, []string, sdk.Secret", sf.Type)
	}
	if s := sf.Tag.Get("oneof"); s != "" {
		f.oneOf = strings.Split(s, ",")
	}
	for role := range strings.SplitSeq(sf.Tag.Get("role"), ",") {
		switch r := Role(role); r {
		case RoleUnknown:
		case RoleUpstream, RoleDownstream:
			f.roles = append(f.roles, r)
		default:
			return f, fmt.Errorf("there is no role %q", role)
		}
	}
	if f.def == "" {
		return f, nil
	}
	if f.typ == adapterv1.SettingType_SETTING_TYPE_SECRET {
		return f, fmt.Errorf("a secret can't have a default")
	}
	if _, fact := value.Decode(f.typ, f.oneOf, f.def); fact != "" {
		return f, fmt.Errorf("the default %s", fact)
	}
	return f, nil
}

func settingType(t reflect.Type) adapterv1.SettingType {
	switch t {
	case reflect.TypeFor[string]():
		return adapterv1.SettingType_SETTING_TYPE_STRING
	case reflect.TypeFor[bool]():
		return adapterv1.SettingType_SETTING_TYPE_BOOL
	case reflect.TypeFor[int]():
		return adapterv1.SettingType_SETTING_TYPE_INT
	case reflect.TypeFor[time.Duration]():
		return adapterv1.SettingType_SETTING_TYPE_DURATION
	case reflect.TypeFor[*url.URL]():
		return adapterv1.SettingType_SETTING_TYPE_URL
	case reflect.TypeFor[[]string]():
		return adapterv1.SettingType_SETTING_TYPE_STRING_LIST
	case reflect.TypeFor[Secret]():
		return adapterv1.SettingType_SETTING_TYPE_SECRET
	default:
		return adapterv1.SettingType_SETTING_TYPE_UNSPECIFIED
	}
}

// in reports whether the setting is for the role.
func (f field) in(role Role) bool {
	return len(f.roles) == 0 || role == RoleUnknown || slices.Contains(f.roles, role)
}

// needed reports whether the setting must be given. When the core did not tell
// the role, a setting of one role alone can't be demanded.
func (f field) needed(role Role) bool {
	return f.required && (len(f.roles) == 0 || slices.Contains(f.roles, role))
}

func (f field) toProto() *adapterv1.SettingsField {
	p := &adapterv1.SettingsField{
		Name: f.name, Type: f.typ, Doc: f.doc, Required: f.required, DefaultValue: f.def, OneOf: slices.Clone(f.oneOf),
	}
	for _, r := range f.roles {
		p.Roles = append(p.Roles, roleToProto(r))
	}
	return p
}
