package auth

import (
	"net/http"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/token"
)

// sessionTime is how long somebody stays logged in.
const sessionTime = 12 * time.Hour

// CookieName is the name of the session's cookie. Over TLS the browser itself
// keeps others from setting one of this name.
func CookieName(r *http.Request) string {
	if overTLS(r) {
		return "__Host-lorry-session"
	}
	return "lorry-session"
}

func overTLS(r *http.Request) bool { return r.TLS != nil || !FromLoopback(r) && Encrypted(r) }

// LogIn begins a session for the holder of a token and gives its cookie. An
// address from which many wrong tokens came has to wait.
func (g *Guard) LogIn(r *http.Request, text string) (Caller, *http.Cookie, error) {
	nobody := Caller{From: from(r)}
	if wait := g.tries.wait(client(r)); wait > 0 {
		return nobody, nil, tooMany(wait)
	}
	t, err := g.Check(r.Context(), text)
	if err != nil {
		if core.KindOf(err) == core.KindUnauthenticated {
			g.tries.failed(client(r))
		}
		return nobody, nil, err
	}
	value, err := token.NewSession(g.o.Rand)
	if err != nil {
		return nobody, nil, err
	}
	now := g.o.Clock()
	expires := now.Add(sessionTime)
	if !t.Expires.IsZero() && t.Expires.Before(expires) {
		expires = t.Expires
	}
	if err := g.o.Store.AddSession(r.Context(), token.Digest(value.Reveal()), t.ID, now, expires); err != nil {
		return nobody, nil, err
	}
	cookie := bake(r)
	cookie.Value, cookie.MaxAge = value.Reveal(), int(expires.Sub(now)/time.Second)
	return g.holder(r.Context(), t, nobody), cookie, nil
}

// LogOut ends the session of a request, if it has one, and gives the cookie
// that makes the browser forget it.
func (g *Guard) LogOut(r *http.Request) (*http.Cookie, error) {
	forget := bake(r)
	forget.MaxAge = -1
	cookie, err := r.Cookie(CookieName(r))
	if err != nil || cookie.Value == "" || g.o.Store == nil {
		return forget, nil //nolint:nilerr // nobody was logged in
	}
	return forget, g.o.Store.EndSession(r.Context(), token.Digest(cookie.Value))
}

// bake makes a cookie that no script reads and no other site can use.
func bake(r *http.Request) *http.Cookie {
	return &http.Cookie{
		Name: CookieName(r), Path: "/", HttpOnly: true, Secure: overTLS(r), SameSite: http.SameSiteStrictMode,
	}
}
