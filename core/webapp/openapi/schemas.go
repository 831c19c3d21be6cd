package openapi

import (
	"reflect"
	"strings"
)

// schemas collects the types of the answers, by their names.
type schemas struct{ all object }

// of gives the schema of a value's type.
func (s *schemas) of(value any) object { return s.typ(reflect.TypeOf(value)) }

func (s *schemas) typ(t reflect.Type) object {
	switch t.Kind() {
	case reflect.Pointer:
		inner := s.typ(t.Elem())
		if _, named := inner["$ref"]; named {
			return object{"nullable": true, "allOf": []any{inner}}
		}
		inner["nullable"] = true
		return inner
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint64:
		return object{"type": "integer", "format": "int64"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Slice:
		return object{"type": "array", "items": s.typ(t.Elem()), "nullable": true}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": s.typ(t.Elem())}
	case reflect.Struct:
		return s.named(t)
	}
	return object{} // anything
}

// named puts a struct among the components, once.
func (s *schemas) named(t reflect.Type) object {
	ref := object{"$ref": "#/components/schemas/" + t.Name()}
	if _, known := s.all[t.Name()]; known {
		return ref
	}
	schema := object{"type": "object"}
	s.all[t.Name()] = schema // before its members: it may be one of them
	properties, required := object{}, []string{}
	s.members(t, properties, &required)
	schema["properties"] = properties
	if len(required) > 0 {
		schema["required"] = required
	}
	return ref
}

// members adds the members of a struct, those of embedded ones among them.
func (s *schemas) members(t reflect.Type, properties object, required *[]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous && f.Tag.Get("json") == "" {
			s.members(f.Type, properties, required)
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		properties[name] = s.typ(f.Type)
		if !strings.Contains(options, "omit") {
			*required = append(*required, name)
		}
	}
}
