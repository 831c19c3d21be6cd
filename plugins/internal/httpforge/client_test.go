package httpforge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/sdk"
)

// Every answer that is no success becomes an error of the right kind, with a
// text that helps and has no credential in it.
func TestAnswersBecomeKinds(t *testing.T) {
	t.Parallel()
	jsonHeader := map[string]string{"Content-Type": "application/json"}
	for _, tc := range []struct {
		name   string
		status int
		header map[string]string
		body   string
		kind   sdk.Kind
		says   string
		wait   time.Duration
	}{
		{name: "bad token", status: 401, body: `{"message":"401 Unauthorized"}`, kind: sdk.Unauthenticated, says: "401 Unauthorized"},
		{name: "scope", status: 403, body: `{"error":"insufficient_scope","error_description":"The request requires higher privileges"}`, kind: sdk.Denied, says: "insufficient_scope; The request requires higher"},
		{name: "missing", status: 404, body: `{"message":"404 Project Not Found"}`, kind: sdk.NotFound, says: "%2F"},
		{name: "gone", status: 410, kind: sdk.NotFound},
		{name: "conflict", status: 409, body: `{"message":"exists"}`, kind: sdk.Conflict, says: "exists"},
		{name: "nested message", status: 400, body: `{"message":{"path":["has already been taken"],"embed":{"name":["is bad"]}}}`, kind: sdk.Invalid, says: "embed name is bad; path has already been taken"},
		{name: "plain text", status: 422, body: "name is bad\n", kind: sdk.Invalid, says: "name is bad"},
		{name: "page", status: 502, body: "<html>Bad gateway</html>", kind: sdk.Unavailable},
		{name: "quota", status: 413, kind: sdk.Denied, says: "quota"},
		{name: "locked", status: 423, kind: sdk.ReadOnly},
		{name: "old version", status: 405, kind: sdk.Unsupported},
		{name: "limited in seconds", status: 429, header: map[string]string{"Retry-After": "17"}, kind: sdk.RateLimited, wait: 17 * time.Second},
		{name: "limited until the allowance is renewed", status: 429, header: map[string]string{"RateLimit-Remaining": "0", "RateLimit-Reset": "90"}, kind: sdk.RateLimited, wait: 90 * time.Second},
		{name: "limited without a word", status: 429, kind: sdk.RateLimited, wait: time.Minute},
		{name: "limited by nonsense", status: 429, header: map[string]string{"Retry-After": "-3"}, kind: sdk.RateLimited, wait: time.Minute},
		{name: "limited for ever", status: 429, header: map[string]string{"Retry-After": "999999999"}, kind: sdk.RateLimited, wait: 24 * time.Hour},
		{name: "limited by 403", status: 403, header: map[string]string{"Retry-After": "5"}, kind: sdk.RateLimited, wait: 5 * time.Second},
		{name: "maintenance", status: 503, header: map[string]string{"Retry-After": "120"}, kind: sdk.Unavailable, wait: 2 * time.Minute},
		{name: "teapot", status: 418, kind: sdk.Internal},
		{name: "login page", status: 200, header: map[string]string{"Content-Type": "text/html"}, body: "<html>Sign in</html>", kind: sdk.Unavailable, says: "login page"},
		{name: "login page that claims to be JSON", status: 200, header: jsonHeader, body: "<html>Sign in</html>", kind: sdk.Unavailable, says: "not with JSON"},
		{name: "nothing", status: 200, header: jsonHeader, kind: sdk.Unavailable, says: "nothing"},
		{name: "cut JSON", status: 200, header: jsonHeader, body: `{"id": 1, "na`, kind: sdk.Unavailable, says: "broken JSON"},
		{name: "half a body", status: 200, header: map[string]string{"Content-Length": "500"}, body: `{"id": 1}`, kind: sdk.Unavailable, says: "broke off"},
		{name: "another form", status: 200, header: jsonHeader, body: `{"id": "one"}`, kind: sdk.Internal, says: "another form"},
		{name: "token in the words", status: 400, body: `{"message":"` + canary + `"}`, kind: sdk.Invalid, says: "[secret]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := forge(t, func(w http.ResponseWriter, _ *http.Request) {
				for k, v := range tc.header {
					w.Header().Set(k, v)
				}
				w.WriteHeader(tc.status)
				_, _ = w.Write([]byte(tc.body))
			})
			var out struct {
				ID int `json:"id"`
			}
			_, err := c.Do(t.Context(), Request{Path: []string{"projects", "a/b"}, What: `project "a/b"`}, &out)
			check(t, err, tc.kind, tc.says)
			var e *sdk.Error
			if errors.As(err, &e) && e.RetryAfter != tc.wait {
				t.Errorf("want a pause of %v, got %v", tc.wait, e.RetryAfter)
			}
		})
	}
}

func check(t *testing.T, err error, kind sdk.Kind, says string) {
	t.Helper()
	if err == nil {
		t.Fatalf("want an error of kind %s, got none", kind)
	}
	var e *sdk.Error
	if !errors.As(err, &e) {
		t.Fatalf("want an *sdk.Error, got %T: %v", err, err)
	}
	text := e.Fact + " " + e.Hint
	if e.Kind != kind || !strings.Contains(text, says) {
		t.Errorf("want kind %s and %q, got %s: %s", kind, says, e.Kind, text)
	}
	if strings.Contains(text, "CANARY") {
		t.Errorf("the token is in %q", text)
	}
	if strings.Contains(text, "<html") {
		t.Errorf("a page is in %q", text)
	}
}

func TestWaitAsDates(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tc := range []struct {
		header, value string
		want          time.Duration
	}{
		{"Retry-After", now.Add(30 * time.Second).Format(http.TimeFormat), 30 * time.Second},
		{"Retry-After", now.Add(-time.Hour).Format(http.TimeFormat), time.Second},
		{"RateLimit-Reset", strconv.FormatInt(now.Add(45*time.Second).Unix(), 10), 45 * time.Second},
		{"X-RateLimit-Reset", strconv.FormatInt(now.Add(45*time.Second).Unix(), 10), 45 * time.Second},
	} {
		got, told := waitOf(http.Header{http.CanonicalHeaderKey(tc.header): {tc.value}}, now)
		if !told || got != tc.want {
			t.Errorf("%s: %s: want %v, got %v, %v", tc.header, tc.value, tc.want, got, told)
		}
	}
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	var stolen atomic.Value
	thief := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stolen.Store(fmt.Sprint(r.Header, r.URL))
		_, _ = w.Write([]byte(`{"id": 1}`))
	}))
	t.Cleanup(thief.Close)
	c := forge(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/away"):
			http.Redirect(w, r, thief.URL+"/x", http.StatusFound)
		case strings.HasSuffix(r.URL.Path, "/secure"):
			http.Redirect(w, r, "https://"+r.Host+"/x", http.StatusMovedPermanently)
		case strings.HasSuffix(r.URL.Path, "/round"):
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		case strings.HasSuffix(r.URL.Path, "/old"):
			http.Redirect(w, r, "/api/v4/new", http.StatusMovedPermanently)
		default:
			_, _ = w.Write([]byte(`{"id": 7}`))
		}
	})
	get := func(method, path string) error {
		var out struct{ ID int }
		_, err := c.Do(t.Context(), Request{Method: method, Path: []string{path}, What: path}, &out)
		if err == nil && out.ID != 7 {
			t.Errorf("%s: got %+v", path, out)
		}
		return err
	}
	check(t, get("", "away"), sdk.Invalid, "set its address to "+thief.URL)
	check(t, get("", "secure"), sdk.Invalid, "https://")
	check(t, get("", "round"), sdk.Unavailable, "more than 5 times")
	check(t, get("POST", "old"), sdk.Conflict, "renamed")
	if err := get("", "old"); err != nil {
		t.Errorf("a renamed project is not followed: %v", err)
	}
	if got := stolen.Load(); got != nil {
		t.Errorf("another host was asked: %v", got)
	}
}

func TestNothingIsSentTwice(t *testing.T) {
	t.Parallel()
	var posts atomic.Int32
	c := forge(t, func(w http.ResponseWriter, _ *http.Request) {
		posts.Add(1)
		w.WriteHeader(http.StatusBadGateway)
	})
	_, err := c.Do(t.Context(), Request{Method: http.MethodPost, Path: []string{"projects"}, Body: map[string]string{"a": "b"}, What: "project"}, nil)
	check(t, err, sdk.Unavailable, "")
	if n := posts.Load(); n != 1 {
		t.Errorf("want one request, got %d", n)
	}
}

func TestUnreachableHostTellsNoURL(t *testing.T) {
	t.Parallel()
	base, _ := url.Parse("http://127.0.0.1:1/api/v4")
	c := New(Options{Base: base, HTTP: &http.Client{}, Scheme: "Bearer", Token: sdk.NewSecret(canary)})
	_, err := c.Do(t.Context(), Request{Path: []string{"private-name"}, What: "it"}, nil)
	check(t, err, sdk.Unavailable, "can't reach 127.0.0.1:1")
	if strings.Contains(err.Error(), "private-name") {
		t.Errorf("the URL is told: %v", err)
	}
}

func TestCancelledRequestsKeepTheirCause(t *testing.T) {
	t.Parallel()
	c := forge(t, func(http.ResponseWriter, *http.Request) {})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Do(ctx, Request{What: "it"}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("want %v, got %v", context.Canceled, err)
	}
}

func TestNoCredentialGoesOverAnUnverifiedConnection(t *testing.T) {
	t.Parallel()
	asked := false
	c := forge(t, func(http.ResponseWriter, *http.Request) { asked = true })
	c.opts.Unverified = true
	_, err := c.Do(t.Context(), Request{What: "it"}, nil)
	check(t, err, sdk.Denied, "certificate is not verified")
	if asked {
		t.Error("the host was asked")
	}
}

func TestHugeAnswersAreRefused(t *testing.T) {
	t.Parallel()
	c := forge(t, func(w http.ResponseWriter, _ *http.Request) {
		chunk := []byte(`"` + strings.Repeat("x", 1<<20) + `",`)
		_, _ = w.Write([]byte("["))
		for range maxAnswer>>20 + 2 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	var out []string
	_, err := c.Do(t.Context(), Request{What: "it"}, &out)
	check(t, err, sdk.Internal, "longer than")
}

func TestRedact(t *testing.T) {
	t.Parallel()
	c := New(Options{Base: &url.URL{}, HTTP: &http.Client{}, Token: sdk.NewSecret(canary)})
	for in, want := range map[string]string{
		"plain": "plain",
		"a " + canary + " b " + url.QueryEscape(canary): "a [secret] b [secret]",
		"https://user:pw@git.example.com/x y":           "https://git.example.com/x y",
		"two\nlines\x00\tand":                           "two lines and",
		strings.Repeat("x", maxMessage-3) + canary:      strings.Repeat("x", maxMessage-3) + "[se…",
		"bad \xff utf8":                                 "bad ? utf8",
	} {
		if got := c.Redact(in); got != want {
			t.Errorf("%q: want %q, got %q", in, want, got)
		}
	}
}
