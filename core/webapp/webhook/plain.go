package webhook

import (
	"net/http"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
)

// parsePlain reads what a script sends, as a form or as JSON: "url" for each
// repository that was pushed to, or "host" and "path", or "host" alone for a
// host whose listing has changed.
func parsePlain(r *http.Request, body []byte) (event, error) {
	form, err := exchange.ParseBody(r.Header.Get("Content-Type"), body)
	if err != nil {
		return event{}, err
	}
	e := event{kind: eventPush, addresses: given(form, "url"), paths: given(form, "path"), hosts: given(form, "host")}
	switch {
	case len(e.addresses)+len(e.paths) > 0:
		return e, nil
	case len(e.hosts) > 0:
		e.kind = eventListing
		return e, nil
	case form.Get("ping") != "":
		return event{kind: eventPing}, nil
	}
	return event{}, &core.Error{
		Kind: core.KindInvalid, Fact: "webhook names no repository and no host",
		Hint: "send url=URL, or host=HOST with path=PATH, or host=HOST alone when its listing has changed",
	}
}

// given lists the values of a field that are not empty.
func given(form exchange.Form, key string) []string {
	var all []string
	for _, value := range form.All(key) {
		if value != "" && len(all) < maxGiven {
			all = append(all, value)
		}
	}
	return all
}

// maxGiven bounds how many values of one field are looked at.
const maxGiven = 100
