package webapp_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/core/token"
	"github.com/lorry-controller/lorry-controller/core/webapp"
	"github.com/lorry-controller/lorry-controller/core/webapp/auth"
)

// secured is a site with tokens and an audit in a real STATEDB.
type secured struct {
	*site
	db   *statedb.DB
	file string // of the STATEDB
}

func newSecured(t *testing.T, change ...func(*webapp.Options)) *secured {
	t.Helper()
	file := filepath.Join(t.TempDir(), "state.db")
	db, err := statedb.Open(t.Context(), statedb.Options{URL: file})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	keep := func(o *webapp.Options) { o.Tokens, o.Audit = db, db }
	return &secured{newSite(t, append([]func(*webapp.Options){keep}, change...)...), db, file}
}

// make makes a token behind the server's back, as another core would.
func (s *secured) make(t *testing.T, role token.Role, expires time.Time) (token.Token, string) {
	t.Helper()
	made, text, err := token.Make(rand.Reader, "", role, s.clock.Now(), expires)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.db.AddToken(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	return made, text.Reveal()
}

// call asks as the holder of a token; "" is nobody. It does not wait for the
// end of a stream.
func (s *secured) call(t *testing.T, method, path, bearer string, headers ...string) (int, http.Header) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, s.URL+path, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if bearer != "" {
		r.Header.Set("Authorization", "Bearer "+bearer)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode, response.Header
}

// concrete makes a path out of a row's pattern.
func concrete(pattern string) string {
	pattern = regexp.MustCompile(`:job_id`).ReplaceAllString(pattern, "1")
	pattern = regexp.MustCompile(`:[a-z_]+`).ReplaceAllString(pattern, "x")
	return regexp.MustCompile(`\*[a-z_]+`).ReplaceAllString(pattern, "x")
}

func TestEachRouteIsForItsRolesAlone(t *testing.T) {
	t.Parallel()
	s := newSecured(t)
	byRole := map[token.Role]string{}
	for _, role := range token.Roles() {
		_, byRole[role] = s.make(t, role, time.Time{})
	}
	_, expired := s.make(t, token.Admin, s.clock.Now().Add(time.Minute))
	revoked, gone := s.make(t, token.Admin, time.Time{})
	if err := s.db.RevokeToken(t.Context(), revoked.ID, s.clock.Now()); err != nil {
		t.Fatal(err)
	}
	s.clock.Add(time.Hour)
	wrong := byRole[token.Admin][:len(byRole[token.Admin])-1] + "!"
	cells := 0
	for _, route := range webapp.Routes() {
		path := concrete(route.Path)
		for name, bearer := range map[string]string{"no token": "", "wrong": wrong, "nonsense": "x", "expired": expired, "revoked": gone} {
			s.clock.Add(time.Minute) // else there were too many wrong ones
			status, header := s.call(t, route.Method, path, bearer)
			want := status == http.StatusUnauthorized && strings.HasPrefix(header.Get("WWW-Authenticate"), "Bearer")
			if route.Access == auth.Public || route.Access == auth.Signed && bearer == "" {
				want = status != http.StatusForbidden && header.Get("WWW-Authenticate") == ""
			}
			if !want {
				t.Errorf("%s %s with %s: got %d", route.Method, route.Path, name, status)
			}
			cells++
		}
		for role, bearer := range byRole {
			status, header := s.call(t, route.Method, path, bearer)
			refused := status == http.StatusForbidden || header.Get("WWW-Authenticate") != ""
			if refused == route.Access.Allows(role) {
				t.Errorf("%s %s for %s as %s: got %d", route.Method, route.Path, route.Access, role, status)
			}
			cells++
		}
	}
	t.Logf("%d cells", cells)
}

func TestRolesStandInOneLadderAndTwoBesideIt(t *testing.T) {
	t.Parallel()
	got := map[auth.Access]string{}
	for _, a := range []auth.Access{auth.Public, auth.Viewers, auth.Operators, auth.Approvers, auth.Admins, auth.Minions, auth.Triggers, auth.Signed, "", "x"} {
		got[a] = fmt.Sprint(a.Roles(), a.Known(), a.Open())
	}
	want := map[auth.Access]string{
		auth.Public: "[] true true", auth.Viewers: "[viewer operator approver admin] true false", auth.Operators: "[operator approver admin] true false",
		auth.Approvers: "[approver admin] true false", auth.Admins: "[admin] true false", auth.Minions: "[minion] true false",
		auth.Triggers: "[trigger operator approver admin] true false", auth.Signed: "[trigger operator approver admin] true true",
		"": "[] false false", "x": "[] false false",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestARouteThatSaysNotWhoMayCallItIsNotServed(t *testing.T) {
	t.Parallel()
	for _, route := range webapp.Routes() {
		if !route.Access.Known() || route.Effect < webapp.Read || route.Effect > webapp.Traffic {
			t.Errorf("%s %s: access %q, effect %d", route.Method, route.Path, route.Access, route.Effect)
		}
		if route.Access == auth.Public && route.Effect == webapp.Write {
			t.Errorf("%s %s: everybody may change something", route.Method, route.Path)
		}
	}
}

func TestWithoutATokenLoopbackMayDoEverything(t *testing.T) {
	t.Parallel()
	s := newSecured(t)
	if status, _ := s.call(t, "POST", "/1.0/stop-queue", ""); status != http.StatusOK {
		t.Errorf("want 200, got %d", status)
	}
	// A name that somebody else made point here, and whom a proxy speaks for.
	for _, header := range []string{"X-Forwarded-For", "Forwarded", "Via", "X-Real-Ip"} {
		if status, _ := s.call(t, "GET", "/1.0/status", "", header, "192.0.2.1"); status != http.StatusUnauthorized {
			t.Errorf("%s: want 401, got %d", header, status)
		}
	}
	for host, want := range map[string]int{"localhost": 200, "LOCALHOST:1": 200, "[::1]": 200, "127.9.9.9": 200, "rebound.example.com": 403, "192.0.2.1": 403} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/1.0/status", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		response, err := s.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: want %d, got %d", host, want, response.StatusCode)
		}
	}
	made, text := s.make(t, token.Viewer, time.Time{})
	s.clock.Add(2 * time.Second) // another core made it
	if status, _ := s.call(t, "GET", "/1.0/status", ""); status != http.StatusUnauthorized {
		t.Errorf("with a token: want 401, got %d", status)
	}
	if status, _ := s.call(t, "GET", "/1.0/status", text); status != http.StatusOK {
		t.Errorf("with a token: want 200, got %d", status)
	}
	if err := s.db.RevokeToken(t.Context(), made.ID, s.clock.Now()); err != nil {
		t.Fatal(err)
	}
	s.clock.Add(2 * time.Second)
	for _, bearer := range []string{"", text} {
		if status, _ := s.call(t, "GET", "/1.0/status", bearer); status != http.StatusUnauthorized {
			t.Errorf("after the last token's end: want 401, got %d", status)
		}
	}
}

func TestTokensAreMadeShownOnceAndRevokedOverTheAPI(t *testing.T) {
	t.Parallel()
	s := newSecured(t)
	_, admin := s.make(t, token.Admin, time.Time{})
	as := func(bearer, method, path, body string) answer {
		return s.send(t, method, path, form, body, "Authorization", "Bearer "+bearer)
	}
	made := as(admin, "POST", "/1.0/tokens", "role=operator&name=ci&expires=90d")
	made.has(t, map[string]any{"name": "ci", "role": "operator", "state": "active", "expires": float64(s.clock.Now().Add(90 * 24 * time.Hour).Unix())})
	created := decoded[protocol.NewToken](t, made)
	if !regexp.MustCompile(`^lorry_[a-z2-7]{8}_[a-z2-7]{52}$`).MatchString(created.Token) {
		t.Errorf("token has another form: %d characters", len(created.Token))
	}
	if got := as(created.Token, "POST", "/1.0/stop-queue", ""); got.status != http.StatusOK {
		t.Errorf("it does not work: %d %s", got.status, got.body)
	}
	for _, bad := range []string{"role=king", "role=", "role=viewer&name=a+b", "role=viewer&expires=soon", "role=viewer&expires=-1d", "role=viewer&name=" + strings.Repeat("x", 61)} {
		if got := as(admin, "POST", "/1.0/tokens", bad); got.status != http.StatusBadRequest || !strings.Contains(got.body, "hint") {
			t.Errorf("%s: got %d %s", bad, got.status, got.body)
		}
	}
	if got := as(admin, "POST", "/1.0/tokens", "role=viewer&name=ci"); got.status != http.StatusConflict {
		t.Errorf("same name: got %d", got.status)
	}
	list := as(admin, "GET", "/1.0/tokens", "")
	if strings.Contains(list.body, created.Token[16:]) || strings.Contains(list.body, token.Digest(created.Token)) {
		t.Errorf("the list shows what is secret: %s", list.body)
	}
	if got := as(admin, "POST", "/1.0/revoke-token", "name=ci"); got.status != http.StatusOK {
		t.Errorf("revoke: %d %s", got.status, got.body)
	}
	if got := as(created.Token, "GET", "/1.0/status", ""); got.status != http.StatusUnauthorized || !strings.Contains(got.body, "revoked") {
		t.Errorf("revoked: %d %s", got.status, got.body)
	}
	if got := as(admin, "POST", "/1.0/revoke-token", "name=ci"); got.status != http.StatusNotFound {
		t.Errorf("again: %d", got.status)
	}
}

func TestWrongTokensAreSlowedDownAndRightOnesNot(t *testing.T) {
	t.Parallel()
	s := newSecured(t)
	_, right := s.make(t, token.Viewer, time.Time{})
	for i := range 12 {
		status, header := s.call(t, "GET", "/1.0/status", "wrong")
		want := http.StatusUnauthorized
		if i >= 10 {
			want = http.StatusTooManyRequests
		}
		if status != want || (want == http.StatusTooManyRequests) != (header.Get("Retry-After") != "") {
			t.Errorf("try %d: want %d, got %d, Retry-After %q", i, want, status, header.Get("Retry-After"))
		}
	}
	if status, _ := s.call(t, "GET", "/1.0/status", right); status != http.StatusOK {
		t.Errorf("the right one: got %d", status)
	}
	if got := s.post(t, "/login", "token="+right); got.status != http.StatusTooManyRequests {
		t.Errorf("login: got %d", got.status)
	}
	// From another address behind the same proxy.
	if status, _ := s.call(t, "GET", "/1.0/status", "wrong", "X-Forwarded-For", "192.0.2.9"); status != http.StatusUnauthorized {
		t.Errorf("another address: got %d", status)
	}
	s.clock.Add(31 * time.Second)
	if status, _ := s.call(t, "GET", "/1.0/status", "wrong"); status != http.StatusUnauthorized {
		t.Errorf("later: got %d", status)
	}
}
