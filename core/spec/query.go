package spec

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
)

// inQuery splits off the token that the query of an http or https URL carries.
// The rest of the URL stays as it is.
func inQuery(t Type, access core.Access) (core.Access, error) {
	address, fragment, hash := strings.Cut(access.URL, "#")
	address, query, _ := strings.Cut(address, "?")
	if _, found := splitQuery(fragment); len(found) > 0 {
		return core.Access{}, fmt.Errorf("the url has %q after a %q, which no server gets to see", found[0].name, "#")
	}
	kept, found := splitQuery(query)
	switch {
	case len(found) == 0:
		return access, nil
	case !t.Downloads():
		return core.Access{}, fmt.Errorf("a source of type %q is never asked with a token in the query of its url (%q): put it before the name of the host instead, as in https://TOKEN@host/…", t, found[0].name)
	case !access.Secret.Empty():
		return core.Access{}, fmt.Errorf("the url has a credential before the name of its host, and another one in its query (%q): keep one of them", found[0].name)
	case len(found) > 1:
		return core.Access{}, fmt.Errorf("the query of the url has two tokens (%q and %q): keep one of them", found[0].name, found[1].name)
	}
	token, err := url.QueryUnescape(found[0].value)
	if err != nil {
		// The error quotes a part of it.
		return core.Access{}, fmt.Errorf("the token in the query of the url (%q) is not well percent-encoded", found[0].name)
	}
	access.URL, access.Secret, access.SecretIn = address+kept, core.NewSecret(token), found[0].name
	if hash {
		access.URL += "#" + fragment
	}
	return access, nil
}

// parameter is one of a query: the name as it is meant, the value as it stands
// there.
type parameter struct{ name, value string }

// splitQuery takes the parameters with a token out of a query, and gives what is
// left with its question mark. Some servers take ";" for "&".
func splitQuery(query string) (kept string, found []parameter) {
	sep := "?"
	for query != "" {
		part, next := query, ""
		if i := strings.IndexAny(query, "&;"); i >= 0 {
			part, next = query[:i], query[i:i+1]
		}
		query = query[len(part)+len(next):]
		name, value, _ := strings.Cut(part, "=")
		if plain, err := url.QueryUnescape(name); err == nil {
			name = plain
		}
		if value != "" && core.IsTokenParameter(name) {
			found = append(found, parameter{name, value})
			if sep != "?" {
				sep = next
			}
			continue
		}
		kept, sep = kept+sep+part, next
	}
	if sep != "?" {
		kept += sep
	}
	return kept, found
}
