package webapp

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"runtime/debug"
	"sync"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/webapp/api"
	"github.com/lorry-controller/lorry-controller/core/webapp/auth"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
)

const (
	// bodyTime is how long a client may take to send its body, and
	// answerTime how long to take its answer.
	bodyTime   = time.Minute
	answerTime = time.Minute
)

// router puts the table of routes and the middleware together.
func (s *Server) router(table []Route) http.Handler {
	router := httprouter.New()
	router.RedirectTrailingSlash = false
	router.RedirectFixedPath = false
	router.NotFound = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, api.NotFound(r))
	})
	router.MethodNotAllowed = http.HandlerFunc(s.methodNotAllowed)
	for _, route := range table {
		router.Handle(route.Method, route.Path, s.handle(route))
		if route.Method == http.MethodGet && route.Effect == Read {
			router.Handle(http.MethodHead, route.Path, s.handle(route))
		}
	}
	return s.outermost(router)
}

// outermost wraps everything: a panic becomes an answer, each request a line
// in the log, and each answer has the headers that keep browsers careful.
func (s *Server) outermost(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		tracked := &trackedWriter{ResponseWriter: w}
		defer func() {
			if cause := recover(); cause != nil {
				if cause == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so
					panic(cause)
				}
				s.log.Error("request broke down", "method", r.Method, "path", r.URL.Path,
					"cause", cause, "stack", string(debug.Stack()))
				if tracked.status == 0 {
					s.fail(tracked, r, core.Errorf(core.KindInternal, "the request broke down; the controller's log says where"))
				}
			}
			s.log.Debug("request answered", "method", r.Method, "path", r.URL.Path, "from", r.RemoteAddr,
				"status", tracked.status, "took", time.Since(began))
		}()
		// A deadline of the connection's last answer must not hit this one.
		setDeadline(http.NewResponseController(w).SetWriteDeadline, 0)
		header := w.Header()
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "same-origin")
		header.Set("Cache-Control", "no-store")
		header.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; "+
			"form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		next.ServeHTTP(tracked, r)
	})
}

// trackedWriter remembers the status for the log and for the panic handler.
type trackedWriter struct {
	http.ResponseWriter
	status int
}

func (w *trackedWriter) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *trackedWriter) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *trackedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// handle runs one route: deadlines, form, redirect field, answer.
func (s *Server) handle(route Route) httprouter.Handle {
	guard := http.NewCrossOriginProtection()
	return func(w http.ResponseWriter, r *http.Request, params httprouter.Params) {
		if route.Effect != Read {
			if err := sameOrigin(guard, r); err != nil {
				s.fail(w, r, err)
				return
			}
		}
		// Before the body is read: what a stranger sends is not worth the memory.
		caller, err := s.admit(route, r)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		form, err := s.readForm(route, w, r)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		redirect := ""
		if target := form.Get("redirect"); target != "" && route.Method == http.MethodPost {
			// Checked before anything is done, so that a refusal changed nothing.
			if redirect, err = exchange.LocalPath(target); err != nil {
				s.fail(w, r, err)
				return
			}
		}
		ctx, cancel := context.WithTimeout(r.Context(), route.Deadline)
		defer cancel()
		asked := r
		r = r.WithContext(ctx)
		if route.lasts() && !caller.Inside {
			defer s.whileAdmitted(r, cancel)()
		}
		answer, err := s.audited(ctx, route, params, &exchange.Request{Request: r, Form: form, Param: params.ByName, Caller: caller})
		// The handler's own time is bounded by the context; from here on the
		// client has to take its answer.
		setDeadline(http.NewResponseController(w).SetWriteDeadline, answerTime)
		if ctx.Err() != nil && asked.Context().Err() == nil {
			if _, gone := s.admit(route, asked); gone != nil { // that is why it was ended
				s.refuse(w, asked, gone)
				return
			}
		}
		switch {
		case err != nil:
			s.fail(w, r, err)
		case redirect != "":
			exchange.Redirect(redirect).WriteTo(w, r)
		default:
			answer.WriteTo(w, r)
		}
	}
}

// admittedEvery is how often it is looked whether the caller of a request that
// lasts still gets in.
const admittedEvery = 2 * time.Second

// whileAdmitted ends a request, as if its client had gone, once its token was
// revoked or has expired: a stream must not go on, and a minion that waits must
// not get a job.
func (s *Server) whileAdmitted(r *http.Request, end context.CancelFunc) (stop func()) {
	var mu sync.Mutex
	mu.Lock()
	defer mu.Unlock()
	var timer *time.Timer
	timer = time.AfterFunc(admittedEvery, func() {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case r.Context().Err() != nil:
		case s.guard.StillKnows(r):
			timer.Reset(admittedEvery)
		default:
			s.log.Info("request is ended, its token counts no more", "method", r.Method, "path", r.URL.Path, "from", r.RemoteAddr)
			end()
		}
	})
	return func() { timer.Stop() }
}

// readForm reads the body within bodyTime. The deadline is lifted again, since
// one that passes during a long poll would look like a client that went away.
func (s *Server) readForm(route Route, w http.ResponseWriter, r *http.Request) (exchange.Form, error) {
	controller := http.NewResponseController(w)
	setDeadline(controller.SetReadDeadline, bodyTime)
	if route.Access == auth.Signed {
		return exchange.Form{}, nil // the handler reads the body, within that time, once it knows who sent it
	}
	defer setDeadline(controller.SetReadDeadline, 0)
	form, err := s.bodies.Form(w, r)
	var tooLong *http.MaxBytesError
	var known *core.Error
	if err == nil || errors.As(err, &tooLong) || errors.As(err, &known) {
		return form, err
	}
	return form, core.Errorf(core.KindInvalid, "body could not be read: %w", err)
}

// setDeadline sets a deadline on a connection that has deadlines.
func setDeadline(set func(time.Time) error, left time.Duration) {
	var at time.Time
	if left > 0 {
		at = time.Now().Add(left)
	}
	_ = set(at) // writers without a connection, as in tests and FastCGI, have none
}

// sameOrigin refuses a request that a page of another site made a browser
// send. Programs send neither Origin nor Sec-Fetch-Site and pass.
func sameOrigin(guard *http.CrossOriginProtection, r *http.Request) error {
	check := r
	if r.Method == http.MethodGet {
		check = r.Clone(r.Context()) // give-me-job's GET changes something
		check.Method = http.MethodPost
	}
	if err := guard.Check(check); err != nil {
		return &core.Error{
			Kind: core.KindDenied, Err: err, Fact: "request comes from a page of another site",
			Hint: "use the controller's own pages, or a program",
		}
	}
	return nil
}

func (s *Server) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	// httprouter has set Allow already.
	body := &core.Error{Kind: core.KindInvalid, Fact: "Method not allowed.", Hint: "use one of: " + w.Header().Get("Allow")}
	s.failWith(w, r, http.StatusMethodNotAllowed, body)
}

// refuse answers a caller that does not get in. A browser that looks at a page
// is sent to the login form.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if core.KindOf(err) == core.KindUnauthenticated {
		if r.Method == http.MethodGet && exchange.WantsPage(r) {
			exchange.Redirect("/login?next="+url.QueryEscape(r.URL.RequestURI())).WriteTo(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", `Bearer realm="lorry-controller"`)
	}
	s.fail(w, r, err)
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	s.failWith(w, r, exchange.Status(err), err)
}

// failWith answers an error: as a page for browsers, as JSON for all others.
func (s *Server) failWith(w http.ResponseWriter, r *http.Request, status int, err error) {
	if r.Context().Err() != nil && status >= 500 {
		s.log.Debug("request ended early", "method", r.Method, "path", r.URL.Path, "error", err)
		err = &core.Error{Kind: core.KindUnavailable, Err: err, Fact: "the request took too long", Hint: "try again"}
		status = http.StatusServiceUnavailable
	} else if status >= 500 {
		s.log.Error("request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	if exchange.WantsPage(r) {
		exchange.SetRetryAfter(w, err)
		exchange.HTML(status, s.pages.Error(status, exchange.ErrorBody(err))).WriteTo(w, r)
		return
	}
	exchange.Error(status, err).WriteTo(w, r)
}
