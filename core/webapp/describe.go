package webapp

import (
	"net/http"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/webapp/api"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
	"github.com/lorry-controller/lorry-controller/core/webapp/openapi"
)

// Description writes what GET /openapi.json answers. A route without a
// description is an error.
func Description(version string) ([]byte, error) {
	operations := map[string]openapi.Operation{}
	for _, part := range []map[string]openapi.Operation{queueOperations(), jobOperations(), hostOperations(), minionOperations(), otherOperations()} {
		for route, o := range part {
			if _, twice := operations[route]; twice {
				return nil, core.Errorf(core.KindInternal, "route %s is described twice", route)
			}
			operations[route] = o
		}
	}
	var described []openapi.Route
	for _, r := range Routes() {
		key := r.Method + " " + r.Path
		o, known := operations[key]
		if !known {
			return nil, core.Errorf(core.KindInternal, "route %s is not described", key)
		}
		delete(operations, key)
		one := openapi.Route{Method: r.Method, Path: r.Path, Changes: r.Effect != Read, Operation: o}
		for _, role := range r.Access.Roles() {
			one.Roles = append(one.Roles, string(role))
		}
		if r.Access.Open() {
			one.Roles = nil
		}
		described = append(described, one)
	}
	for key := range operations {
		return nil, core.Errorf(core.KindInternal, "there is no route %s, which is described", key)
	}
	return openapi.Describe(version, described)
}

// description answers GET /openapi.json.
type description struct{ text []byte }

// OpenAPI answers GET /openapi.json.
func (d description) OpenAPI(*exchange.Request) (exchange.Answer, error) {
	return exchange.Func(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(d.text) // the client may be gone
	}), nil
}

// The fields that several routes have.
func one(name, doc string) openapi.Field {
	return openapi.Field{Name: name, Doc: doc, Required: true}
}

func text(name, doc string) openapi.Field { return openapi.Field{Name: name, Doc: doc} }

func number(name, doc string) openapi.Field {
	return openapi.Field{Name: name, Type: openapi.Integer, Doc: doc}
}

func flag(name, doc string) openapi.Field {
	return openapi.Field{Name: name, Type: openapi.Switch, Doc: doc}
}

func list(name, doc string) openapi.Field {
	return openapi.Field{Name: name, Type: openapi.List, Doc: doc}
}

// selecting are the fields of a group of Lorries.
func selecting() []openapi.Field {
	return []openapi.Field{
		text("host", "upstream host name, or Upstream Host"), text("trovehost", "the same, by its old name"), text("kind", "kind of failure"),
		text("text", "part of the path"), number("older", "seconds since the last success"),
	}
}

func lorryList() []openapi.Field {
	sorts := []string{""}
	for _, sort := range api.LorrySorts() {
		sorts = append(sorts, sort, "-"+sort)
	}
	return append(selecting(),
		openapi.Field{Name: "state", Doc: "state of the Lorries", Enum: append([]string{""}, api.LorryStates()...)},
		openapi.Field{Name: "sort", Doc: "order; - turns it round", Enum: sorts},
		number("limit", "at most so many, 100 unless said"), text("cursor", "next of the page before"),
	)
}

func jobList() []openapi.Field {
	return append(selecting(),
		openapi.Field{Name: "state", Doc: "state of the jobs", Enum: append([]string{""}, api.JobStates()...)},
		text("path", "of one Lorry"), text("minion", "name of the minion"), number("newer", "started within so many seconds"),
		openapi.Field{Name: "sort", Doc: "order", Enum: append([]string{""}, api.JobSorts()...)},
		flag("failed", "only those that failed"), flag("running", "only those that run"), number("before", "only those with smaller ids"),
		number("limit", "at most so many"), text("cursor", "next of the page before"),
	)
}
