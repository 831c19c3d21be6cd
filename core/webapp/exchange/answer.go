package exchange

import (
	"bytes"
	"encoding/json"
	"errors"
	"html"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/webapp/auth"
)

// Request is one request as a handler sees it.
type Request struct {
	*http.Request
	// Form holds the fields of body and query.
	Form Form
	// Param gives a variable part of the path by its name, or "".
	Param func(name string) string
	// Caller is who asks; the route's row has let him in already.
	Caller auth.Caller
	// Was and Became, when a handler sets them, are what the audit says of the
	// subject before and after, instead of what the server finds by itself.
	Was, Became string
}

// Handler answers one route. It returns its answer instead of writing it; an
// error becomes an error answer with the status of its core.Kind.
type Handler func(*Request) (Answer, error)

// Answer writes itself to the client.
type Answer interface {
	WriteTo(w http.ResponseWriter, r *http.Request)
}

// JSON answers 200 with value as JSON. It is indented for nobody; HTML
// characters are escaped, so that a browser that guesses types is harmless.
func JSON(value any) Answer { return jsonAnswer{status: http.StatusOK, value: value} }

// Accepted answers 202 with value as JSON.
func Accepted(value any) Answer { return jsonAnswer{status: http.StatusAccepted, value: value} }

type jsonAnswer struct {
	status int
	value  any
}

func (a jsonAnswer) WriteTo(w http.ResponseWriter, _ *http.Request) {
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(a.value); err != nil {
		http.Error(w, "answer can't be encoded", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	write(w, a.status, body.Bytes())
}

// Line answers 200 with one line of text, served as text/html as the original
// did; what it says is escaped.
func Line(text string) Answer {
	return HTML(http.StatusOK, []byte(html.EscapeString(text)))
}

// HTML answers with a page that was rendered already.
func HTML(status int, page []byte) Answer { return htmlAnswer{status: status, page: page} }

type htmlAnswer struct {
	status int
	page   []byte
}

func (a htmlAnswer) WriteTo(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	write(w, a.status, a.page)
}

// Func answers through a function, for files and streams.
type Func func(w http.ResponseWriter, r *http.Request)

// WriteTo implements Answer.
func (f Func) WriteTo(w http.ResponseWriter, r *http.Request) { f(w, r) }

// Redirect sends the client to a local path: 303, or 302 for HTTP/1.0.
func Redirect(path string) Answer {
	return Func(func(w http.ResponseWriter, r *http.Request) {
		status := http.StatusSeeOther
		if !r.ProtoAtLeast(1, 1) {
			status = http.StatusFound
		}
		w.Header().Set("Location", path)
		w.WriteHeader(status)
	})
}

// LocalPath checks the redirect field of a form: a path of this server, never
// another site. Anything else is core.KindInvalid.
func LocalPath(target string) (string, error) {
	u, err := url.Parse(target)
	bad := err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" ||
		!strings.HasPrefix(target, "/") || strings.HasPrefix(target, "//") ||
		strings.ContainsFunc(target, func(r rune) bool { return r == '\\' || r < ' ' || r == 0x7f })
	if bad {
		return "", &core.Error{
			Kind: core.KindInvalid, Fact: "field \"redirect\" must be a path of this server",
			Hint: "use a path such as /1.0/status-html",
		}
	}
	return u.String(), nil
}

// Status gives the HTTP status of an error.
func Status(err error) int {
	var tooLong *http.MaxBytesError
	if errors.As(err, &tooLong) {
		return http.StatusRequestEntityTooLarge
	}
	switch core.KindOf(err) {
	case core.KindInvalid:
		return http.StatusBadRequest
	case core.KindUnauthenticated:
		return http.StatusUnauthorized
	case core.KindDenied, core.KindReadOnly:
		return http.StatusForbidden
	case core.KindNotFound:
		return http.StatusNotFound
	case core.KindConflict:
		return http.StatusConflict
	case core.KindRateLimited:
		return http.StatusTooManyRequests
	case core.KindUnavailable:
		return http.StatusServiceUnavailable
	case core.KindUnsupported:
		return http.StatusNotImplemented
	default:
		return http.StatusInternalServerError
	}
}

// ErrorBody gives what a client is told of an error. An error without a kind
// is not told in full, since nobody chose its words for clients.
func ErrorBody(err error) protocol.Error {
	var tooLong *http.MaxBytesError
	if errors.As(err, &tooLong) {
		return protocol.Error{
			Kind:    core.KindInvalid,
			Message: "body is longer than " + strconv.FormatInt(tooLong.Limit, 10) + " bytes",
			Hint:    "send it in several parts",
		}
	}
	var known *core.Error
	if errors.As(err, &known) {
		hint := known.Hint
		if hint == "" {
			hint = usualHint(known.Kind)
		}
		return protocol.Error{Kind: known.Kind, Message: Text(known.Fact), Hint: Text(hint)}
	}
	return protocol.Error{
		Kind: core.KindInternal, Message: "the request could not be carried out",
		Hint: "the controller's log says why",
	}
}

// usualHint says what to do about an error that came without advice.
func usualHint(kind core.Kind) string {
	switch kind {
	case core.KindInvalid:
		return "/openapi.json says what each route takes"
	case core.KindUnauthenticated:
		return "send a token of this controller: Authorization: Bearer TOKEN"
	case core.KindDenied, core.KindReadOnly:
		return "ask for a token whose role may do this"
	case core.KindNotFound:
		return "/1.0/list-queue, /1.0/jobs, /1.0/hosts and /1.0/minions name what there is"
	case core.KindConflict:
		return "look at its state first: /1.0/lorry/PATH, /1.0/job/ID"
	case core.KindRateLimited, core.KindUnavailable:
		return "try again later"
	case core.KindUnsupported:
		return "this controller's settings or its kind of CONFGIT do not allow it"
	}
	return "the controller's log says why"
}

// Error answers with an error as JSON and the given status.
func Error(status int, err error) Answer {
	body := ErrorBody(err)
	return Func(func(w http.ResponseWriter, r *http.Request) {
		SetRetryAfter(w, err)
		jsonAnswer{status: status, value: body}.WriteTo(w, r)
	})
}

// SetRetryAfter tells the client how long to wait, if the error says so.
func SetRetryAfter(w http.ResponseWriter, err error) {
	var known *core.Error
	if errors.As(err, &known) && known.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(int64(known.RetryAfter.Seconds())+1, 10))
	}
}

// WantsPage reports whether the client is a browser that shows pages, rather
// than a program that reads JSON.
func WantsPage(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

func write(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	// The client may be gone; there is nobody left to tell.
	_, _ = w.Write(body)
}
