package openapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/lorry-controller/lorry-controller/core/protocol"
)

// The types of a Field.
const (
	Text    = "string"
	Integer = "integer"
	Switch  = "boolean" // also 1 and 0, yes and no
	List    = "array"   // of texts; repeated in a form
	Object  = "object"  // JSON only
)

// Field is one field of a request.
type Field struct {
	Name string
	Type string // one of the types above; "" means Text
	Doc  string
	Enum []string
	// Required fields are asked for; a request without one is answered 400.
	Required bool
}

// The kinds of answer that are not JSON.
const (
	Line   = "line"   // one line of text, as text/html
	Page   = "page"   // HTML for people
	Plain  = "plain"  // text/plain
	Events = "events" // server-sent events
	Output = "output" // a job's output, in one of three forms
	File   = "file"   // of any type
)

// Operation describes what one route does.
type Operation struct {
	Summary string
	Fields  []Field
	// Answer is a value of the type that is answered as JSON.
	Answer any
	// Kind, instead of Answer, is one of the kinds that are not JSON.
	Kind string
	// Also is a second form of the answer, such as that of a group.
	Also any
	// Status is that of the answer; 0 means 200.
	Status int
	// Body is a value of the type of a JSON body, where it is more than fields.
	Body any
}

// Route is what the table of routes says of one.
type Route struct {
	Method, Path string
	Roles        []string // those that may; none: everybody
	Changes      bool
	Operation    Operation
}

type object = map[string]any

// Describe writes the description of routes as JSON.
func Describe(version string, routes []Route) ([]byte, error) {
	s := schemas{all: object{}}
	paths := object{}
	for _, r := range routes {
		path := template(r.Path)
		item, _ := paths[path].(object)
		if item == nil {
			item = object{}
			paths[path] = item
		}
		item[strings.ToLower(r.Method)] = s.operation(r)
	}
	problem := s.of(protocol.Error{})
	text, err := json.MarshalIndent(object{
		"openapi": "3.0.3",
		"info": object{
			"title": "Lorry Controller", "version": version,
			"description": "What each route takes and answers. Objects may have more members than are named here, and will.",
			"license":     object{"name": "Apache-2.0"},
		},
		"servers": []any{object{"url": "/"}},
		"paths":   paths,
		"components": object{
			"schemas": s.all,
			"responses": object{"Error": object{
				"description": "What is wrong, and what to do about it. A client that asks for text/html gets a page.",
				"content":     object{"application/json": object{"schema": problem}, "text/html": object{"schema": object{"type": "string"}}},
			}},
			"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer"}},
		},
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("description of the API can't be written: %w", err)
	}
	return append(text, '\n'), nil
}

// template writes httprouter's variable parts as OpenAPI does. One that spans
// several elements is written like any other.
func template(path string) string {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if strings.HasPrefix(part, ":") || strings.HasPrefix(part, "*") {
			parts[i] = "{" + part[1:] + "}"
		}
	}
	return strings.Join(parts, "/")
}

func (s *schemas) operation(r Route) object {
	o := r.Operation
	op := object{
		"operationId": operationID(r), "summary": o.Summary,
		"responses": object{"default": object{"$ref": "#/components/responses/Error"}},
		"x-changes": r.Changes,
	}
	if len(r.Roles) > 0 {
		op["security"], op["x-roles"] = []any{object{"token": []any{}}}, r.Roles
	} else {
		op["security"] = []any{}
	}
	if parameters := parameters(r); len(parameters) > 0 {
		op["parameters"] = parameters
	}
	if r.Method == http.MethodPost {
		op["requestBody"] = s.body(o)
	}
	status := o.Status
	if status == 0 {
		status = http.StatusOK
	}
	responses, _ := op["responses"].(object)
	answer := object{"description": "Done."}
	if status != http.StatusSeeOther {
		answer["content"] = s.content(o)
	}
	responses[fmt.Sprint(status)] = answer
	if r.Method == http.MethodPost {
		responses["303"] = object{"description": "Done; the field redirect was there.", "headers": object{"Location": object{"schema": object{"type": "string"}}}}
	}
	return op
}

func operationID(r Route) string {
	path, ofAPI := strings.CutPrefix(r.Path, "/1.0/")
	if !ofAPI {
		path = "server-" + path // so that /metrics is another one than /1.0/metrics
	}
	name := strings.NewReplacer("/-/", "", "/", "-", ":", "", "*", "", ".", "-").Replace(path)
	return strings.ToLower(r.Method) + "-" + strings.Trim(name, "-")
}

func parameters(r Route) (all []any) {
	for part := range strings.SplitSeq(r.Path, "/") {
		if strings.HasPrefix(part, ":") || strings.HasPrefix(part, "*") {
			doc := "one element of the path"
			if part[0] == '*' {
				doc = "the rest of the path, with its slashes as they are"
			}
			all = append(all, object{"name": part[1:], "in": "path", "required": true, "description": doc, "schema": object{"type": "string"}})
		}
	}
	if r.Method != http.MethodGet {
		return all
	}
	for _, f := range r.Operation.Fields {
		all = append(all, object{"name": f.Name, "in": "query", "required": f.Required, "description": f.Doc, "schema": f.schema()})
	}
	return all
}

func (f Field) schema() object {
	s := object{"type": f.Type}
	switch f.Type {
	case "":
		s["type"] = "string"
	case List:
		s["items"] = object{"type": "string"}
	case Switch:
		s = object{"oneOf": []any{object{"type": "boolean"}, object{"type": "string", "enum": []string{"0", "1", "yes", "no", ""}}, object{"type": "integer", "enum": []int{0, 1}}}}
	}
	if len(f.Enum) > 0 {
		s["enum"] = f.Enum
	}
	return s
}

// body describes the three forms in which the same fields may come.
func (s *schemas) body(o Operation) object {
	properties, inForms, required := object{}, object{}, []string{}
	for _, f := range append([]Field{{Name: "redirect", Doc: "a path of this server to go to afterwards"}}, o.Fields...) {
		schema := f.schema()
		schema["description"] = f.Doc
		properties[f.Name] = schema
		if f.Type != Object {
			inForms[f.Name] = schema
		}
		if f.Required {
			required = append(required, f.Name)
		}
	}
	form, asJSON := object{"type": "object", "properties": inForms}, object{"type": "object", "properties": properties}
	if len(required) > 0 {
		form["required"], asJSON["required"] = required, required
	}
	if o.Body != nil {
		one := s.of(o.Body)
		asJSON = object{"oneOf": []any{object{"type": "array", "items": one}, one}}
	}
	return object{"required": len(required) > 0, "content": object{
		"application/x-www-form-urlencoded": object{"schema": form},
		"multipart/form-data":               object{"schema": form},
		"application/json":                  object{"schema": asJSON},
	}}
}

func (s *schemas) content(o Operation) object {
	text := object{"schema": object{"type": "string"}}
	switch o.Kind {
	case Line, Page:
		content := object{"text/html": text}
		if o.Also != nil {
			content["application/json"] = object{"schema": s.of(o.Also)}
		}
		return content
	case Plain:
		return object{"text/plain": text}
	case Events:
		return object{"text/event-stream": text}
	case Output:
		return object{"text/plain": text, "text/event-stream": text, "application/x-ndjson": text}
	case File:
		return object{"*/*": text}
	}
	schema := s.of(o.Answer)
	if o.Also != nil {
		schema = object{"anyOf": []any{schema, s.of(o.Also)}}
	}
	return object{"application/json": object{"schema": schema}}
}
