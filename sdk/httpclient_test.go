package sdk

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// forge answers as the function says and gives a client for it.
func forge(t *testing.T, env Env, answer http.HandlerFunc) (*http.Client, string) {
	t.Helper()
	server := httptest.NewServer(answer)
	client := newHTTPClient(&Plugin{name: "test", version: "1"}, env)
	t.Cleanup(func() {
		client.CloseIdleConnections()
		server.Close()
	})
	return client, server.URL
}

func TestClientTurnsLimitsIntoRateLimited(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		code   int
		header map[string]string
		want   time.Duration
	}{
		"429 with seconds": {429, map[string]string{"Retry-After": "17"}, 17 * time.Second},
		"429 alone":        {429, nil, time.Minute},
		"403 with header":  {403, map[string]string{"RateLimit-Remaining": "0", "RateLimit-Reset": "30"}, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, url := forge(t, Env{}, func(w http.ResponseWriter, _ *http.Request) {
				for k, v := range tc.header {
					w.Header().Set(k, v)
				}
				w.WriteHeader(tc.code)
			})
			_, err := get(client, url)
			var e *Error
			if !errors.As(err, &e) || e.Kind != RateLimited || e.RetryAfter != tc.want {
				t.Errorf("want %v of waiting, got %#v", tc.want, err)
			}
		})
	}
}

// get gives the body of an answer.
func get(client *http.Client, url string) (string, error) {
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = HTTPError(resp, "the page")
	}
	return string(body), err
}

func TestClientRepeatsAGetOnceAfter503(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	client, url := forge(t, Env{}, func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, r.UserAgent())
	})
	body, err := get(client, url)
	if err != nil || body != "lorry-adapter-test/1" || calls.Load() != 2 {
		t.Errorf("got %q, %v after %d calls", body, err, calls.Load())
	}
}

func TestClientRefusesToBeSentElsewhere(t *testing.T) {
	t.Parallel()
	client, url := forge(t, Env{}, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/same" {
			http.Redirect(w, r, "/there", http.StatusFound)
			return
		}
		if r.URL.Path == "/there" {
			return
		}
		http.Redirect(w, r, "http://other.example.com/", http.StatusFound)
	})
	if _, err := get(client, url+"/same"); err != nil {
		t.Error(err)
	}
	if _, err := get(client, url+"/other"); err == nil || KindOf(err) != Invalid {
		t.Errorf("want kind %q, got %v", Invalid, err)
	}
}

func TestClientSendsNoCredentialUnverified(t *testing.T) {
	t.Parallel()
	for allowed, want := range map[bool]bool{false: false, true: true} {
		client, url := forge(t, Env{SkipCertificates: true, InsecureCredentials: allowed}, func(http.ResponseWriter, *http.Request) {})
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Private-Token", "hush")
		resp, err := client.Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		if (err == nil) != want {
			t.Errorf("allowed %v: got %v", allowed, err)
		}
	}
}

func TestHTTPErrorHasTheKindOfTheStatus(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]Kind{
		400: Invalid, 401: Unauthenticated, 403: Denied, 404: NotFound, 405: Unsupported, 409: Conflict, 410: NotFound, 418: Internal,
		422: Invalid, 500: Unavailable, 501: Unsupported, 502: Unavailable,
	} {
		client, url := forge(t, Env{}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) })
		if _, err := get(client, url); KindOf(err) != want {
			t.Errorf("HTTP %d: want kind %q, got %v", code, want, err)
		}
	}
	client, _ := forge(t, Env{}, nil)
	if _, err := get(client, "http://127.0.0.1:1/"); err == nil || KindOf(err) != Unavailable || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("nobody there: %v", err)
	}
}

func FuzzRetryAfter(f *testing.F) {
	f.Add("17", "0", "99")
	f.Add("Wed, 21 Oct 2026 07:28:00 GMT", "", "")
	f.Add("99999999999", "0", "9223372036854775807")
	f.Fuzz(func(t *testing.T, after, remaining, reset string) {
		h := http.Header{"Retry-After": {after}, "Ratelimit-Remaining": {remaining}, "Ratelimit-Reset": {reset}}
		if wait, _ := retryAfter(h); wait < 0 || wait > 24*time.Hour {
			t.Errorf("wait %v", wait)
		}
	})
}
