package auth

import (
	"context"
	"crypto/subtle"
	"crypto/x509"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/token"
)

const (
	// fresh is how long what was read of the tokens counts: so long may another
	// core's revocation take to be seen.
	fresh = time.Second
	// again is how soon they are read again for one that is not known, as it
	// may have been made just now.
	again = 50 * time.Millisecond
	// stale is how long it counts while the STATEDB does not answer.
	stale = 10 * time.Second
	// usedEvery is how exactly a token's last use is known.
	usedEvery = time.Hour
)

// Store keeps tokens and sessions. *statedb.DB is one.
type Store interface {
	Tokens(ctx context.Context) ([]token.Token, error)
	AddToken(ctx context.Context, t token.Token) error
	RevokeToken(ctx context.Context, id string, now time.Time) error
	TokenUsed(ctx context.Context, id string, at time.Time) error
	AddSession(ctx context.Context, digest, tokenID string, now, expires time.Time) error
	Session(ctx context.Context, digest string, now time.Time) (string, error)
	EndSession(ctx context.Context, digest string) error
}

// Options are what a Guard needs; Log, Clock and Rand are required.
type Options struct {
	// Store may be nil: then there are no tokens.
	Store Store
	Log   hclog.Logger
	Clock core.Clock
	Rand  io.Reader
	// Off lets everybody do everything (insecure-no-auth).
	Off bool
	// AnyName takes requests over loopback under any name: a web server in
	// front, which speaks FastCGI, has names of its own and checks them.
	AnyName bool
}

// Guard knows who a caller is.
type Guard struct {
	o      Options
	inside core.Secret // for the minions of this process
	tries  *tries

	mu     sync.Mutex
	tokens map[string]token.Token // by id
	loaded time.Time
	used   map[string]time.Time // what this core has recorded lately
}

// New makes a Guard. It fails when there is no randomness.
func New(o Options) (*Guard, error) {
	inside, err := token.NewSession(o.Rand)
	if err != nil {
		return nil, err
	}
	return &Guard{o: o, inside: inside, tries: newTries(o.Clock), used: map[string]time.Time{}}, nil
}

// Inside is a token of role minion for the minions inside this process. It is
// kept nowhere and lives as long as the process.
func (g *Guard) Inside() core.Secret { return g.inside }

// Now tells the time, whatever a test pretends to the queue.
func (g *Guard) Now() time.Time { return g.o.Clock() }

// all gives the tokens as they were at most oldest ago.
func (g *Guard) all(ctx context.Context, oldest time.Duration) (map[string]token.Token, error) {
	if g.o.Store == nil {
		return nil, nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	age := g.o.Clock().Sub(g.loaded)
	if g.tokens != nil && age >= 0 && age < oldest {
		return g.tokens, nil
	}
	list, err := g.o.Store.Tokens(ctx)
	if err != nil {
		if g.tokens != nil && age >= 0 && age < stale {
			return g.tokens, nil
		}
		return nil, err
	}
	g.tokens = make(map[string]token.Token, len(list))
	for _, t := range list {
		g.tokens[t.ID] = t
	}
	g.loaded = g.o.Clock()
	return g.tokens, nil
}

// Forget makes the next request read the tokens again.
func (g *Guard) Forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.loaded = time.Time{}
}

// Needed reports whether callers need a token: once one was ever made, so that
// the last one's end does not open the doors.
func (g *Guard) Needed(ctx context.Context) (bool, error) {
	if g.o.Off {
		return false, nil
	}
	all, err := g.all(ctx, fresh)
	return len(all) > 0, err
}

// Identify says who makes a request. A token that is wrong is an error of
// core.KindUnauthenticated or, after many, core.KindRateLimited; none at all is
// a Caller that nobody knows.
func (g *Guard) Identify(r *http.Request) (Caller, error) {
	nobody := Caller{From: from(r)}
	if text := bearer(r); text != "" {
		return g.byToken(r, text, nobody)
	}
	if name := certificate(r); name != "" {
		c := nobody
		c.Name, c.Certificate, c.Role, c.Proven = "certificate "+name, name, token.Minion, true
		return c, nil
	}
	if cookie, err := r.Cookie(CookieName(r)); err == nil && cookie.Value != "" {
		c, err := g.bySession(r, cookie.Value, nobody)
		if err != nil || c.Known() {
			return c, err
		}
	}
	return g.anonymous(r, nobody)
}

// anonymous is a caller that does not say who he is.
func (g *Guard) anonymous(r *http.Request, nobody Caller) (Caller, error) {
	c := nobody
	if g.o.Off {
		c.Name, c.Everything = "anonymous", true
		if FromLoopback(r) {
			c.Name = "loopback"
		}
		return c, nil
	}
	needed, err := g.Needed(r.Context())
	if err != nil || needed || !FromLoopback(r) {
		return nobody, err
	}
	if !g.o.AnyName && !localName(r) {
		return nobody, &core.Error{
			Kind: core.KindDenied, Fact: "this controller is not known by the name in the request",
			Hint: "use http://127.0.0.1 or http://localhost with its port, or make a token",
		}
	}
	c.Name, c.Everything = "loopback", true
	return c, nil
}

// StillKnows reports whether the one who makes a request that goes on is still
// known. A STATEDB that does not answer ends nothing.
func (g *Guard) StillKnows(r *http.Request) bool {
	if text := bearer(r); text != "" {
		_, err := g.Check(r.Context(), text)
		return err == nil || core.KindOf(err) != core.KindUnauthenticated
	}
	if certificate(r) != "" {
		return true
	}
	nobody := Caller{From: from(r)}
	if cookie, err := r.Cookie(CookieName(r)); err == nil && cookie.Value != "" {
		if c, err := g.bySession(r, cookie.Value, nobody); err != nil || c.Known() {
			return true
		}
	}
	c, err := g.anonymous(r, nobody)
	return err != nil && core.KindOf(err) != core.KindDenied || c.Known()
}

func bearer(r *http.Request) string {
	scheme, text, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(text)
}

// byToken looks a token up. One that counts always gets in, however many wrong
// ones came from the same address: minions behind one gateway share it.
func (g *Guard) byToken(r *http.Request, text string, nobody Caller) (Caller, error) {
	if subtle.ConstantTimeCompare([]byte(token.Digest(text)), []byte(token.Digest(g.inside.Reveal()))) == 1 {
		c := nobody
		c.Name, c.Role, c.Proven, c.Inside = "controller", token.Minion, true, true
		return c, nil
	}
	t, err := g.Check(r.Context(), text)
	if core.KindOf(err) == core.KindUnauthenticated {
		if wait := g.tries.failed(client(r)); wait > 0 {
			return nobody, tooMany(wait)
		}
	}
	if err != nil {
		return nobody, err
	}
	return g.holder(r.Context(), t, nobody), nil
}

// Check gives the token that text is, if it counts.
func (g *Guard) Check(ctx context.Context, text string) (token.Token, error) {
	wrong := func(fact string) error {
		return &core.Error{Kind: core.KindUnauthenticated, Fact: fact, Hint: "ask an admin for another: lorryctl token create"}
	}
	all, err := g.all(ctx, fresh)
	if err != nil {
		return token.Token{}, err
	}
	id, ok := token.IDOf(text)
	if _, known := all[id]; ok && !known {
		if all, err = g.all(ctx, again); err != nil {
			return token.Token{}, err
		}
	}
	t := all[id] // an unknown one is compared too, with no digest
	if !t.Matches(text) {
		return token.Token{}, wrong("this token is not known here")
	}
	switch t.State(g.o.Clock()) {
	case "revoked":
		return token.Token{}, wrong("this token was revoked")
	case "expired":
		return token.Token{}, wrong("this token has expired")
	}
	return t, nil
}

func (g *Guard) bySession(r *http.Request, cookie string, nobody Caller) (Caller, error) {
	if g.o.Store == nil {
		return nobody, nil
	}
	id, err := g.o.Store.Session(r.Context(), token.Digest(cookie), g.o.Clock())
	if err != nil || id == "" {
		return nobody, err
	}
	all, err := g.all(r.Context(), fresh)
	if err != nil {
		return nobody, err
	}
	if t, ok := all[id]; ok && t.Counts(g.o.Clock()) {
		return g.holder(r.Context(), t, nobody), nil
	}
	return nobody, nil
}

// holder is the caller who has a token; its use is recorded now and then.
func (g *Guard) holder(ctx context.Context, t token.Token, c Caller) Caller {
	now := g.o.Clock()
	g.mu.Lock()
	last := g.used[t.ID]
	if last.Before(t.Used) {
		last = t.Used
	}
	due := now.Sub(last) >= usedEvery
	if due {
		g.used[t.ID] = now
	}
	g.mu.Unlock()
	if due {
		if err := g.o.Store.TokenUsed(ctx, t.ID, now); err != nil {
			g.o.Log.Debug("last use of a token was not recorded", "token", t.Label(), "error", err)
		}
	}
	c.Name, c.Role, c.Proven = t.Label(), t.Role, true
	return c
}

// certificate is the name in a client's certificate that was verified.
func certificate(r *http.Request) string {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return ""
	}
	return nameOf(r.TLS.VerifiedChains[0][0])
}

func nameOf(c *x509.Certificate) string {
	switch {
	case c.Subject.CommonName != "":
		return c.Subject.CommonName
	case len(c.DNSNames) > 0:
		return c.DNSNames[0]
	case len(c.URIs) > 0:
		return c.URIs[0].String()
	}
	return "serial " + c.SerialNumber.String()
}

// Refusal says why a caller does not get in; nil when he does.
func (g *Guard) Refusal(c Caller, a Access) error {
	switch {
	case c.May(a):
		return nil
	case !c.Known():
		return &core.Error{
			Kind: core.KindUnauthenticated, Fact: "this needs a token",
			Hint: "send one as \"Authorization: Bearer …\"; an admin makes it with lorryctl token create, the first one with lorry-controller token create",
		}
	}
	return &core.Error{
		Kind: core.KindDenied, Fact: "role " + string(c.Role) + " may not do this",
		Hint: "use a token whose role is one of: " + joined(a.Roles()),
	}
}

func joined(roles []token.Role) string {
	names := make([]string, 0, len(roles))
	for _, role := range roles {
		names = append(names, string(role))
	}
	return strings.Join(names, ", ")
}

// Somebody is the caller of a route for which it does not matter who he is.
func (*Guard) Somebody(r *http.Request) Caller { return Caller{From: from(r)} }
