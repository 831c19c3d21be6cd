package access

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/audit"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/token"
	"github.com/lorry-controller/lorry-controller/core/webapp/auth"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
)

// Audit is what is read of the audit. *statedb.DB has it.
type Audit interface {
	AppendAudit(ctx context.Context, e audit.Entry) (audit.Mark, error)
	// AuditEnds gives the two ends of the chain.
	AuditEnds(ctx context.Context) (audit.Ends, error)
	// AuditAfter lists entries behind seq, oldest first; AuditBefore those
	// before seq (0: from the end), newest first.
	AuditAfter(ctx context.Context, seq int64, limit int) ([]audit.Entry, error)
	AuditBefore(ctx context.Context, seq int64, limit int) ([]audit.Entry, error)
}

// Options are what the routes need. Guard, Log, Clock, Rand and Login are
// required.
type Options struct {
	Guard *auth.Guard
	// Store keeps the tokens; nil: there are none.
	Store auth.Store
	// Audit keeps the audit; nil: there is none.
	Audit Audit
	Log   hclog.Logger
	Clock core.Clock
	Rand  io.Reader
	// Login renders the login form.
	Login func(next, problem, who string, needed bool) ([]byte, error)
}

// Desk answers the routes.
type Desk struct{ o Options }

// New makes a Desk.
func New(o Options) *Desk { return &Desk{o} }

// Form answers GET /login.
func (d *Desk) Form(r *exchange.Request) (exchange.Answer, error) {
	caller, err := d.o.Guard.Identify(r.Request)
	if core.KindOf(err) == core.KindUnavailable {
		return nil, err
	}
	return d.form(r, caller.Name, "", http.StatusOK)
}

func (d *Desk) form(r *exchange.Request, who, problem string, status int) (exchange.Answer, error) {
	needed, err := d.o.Guard.Needed(r.Context())
	if err != nil {
		return nil, err
	}
	page, err := d.o.Login(next(r), problem, who, needed)
	if err != nil {
		return nil, err
	}
	return exchange.HTML(status, page), nil
}

// next is the page that somebody wanted before he had to log in.
func next(r *exchange.Request) string {
	if path, err := exchange.LocalPath(r.Form.Get("next")); err == nil {
		return path
	}
	return "/1.0/status-html"
}

// LogIn answers POST /login: the field token begins a session.
func (d *Desk) LogIn(r *exchange.Request) (exchange.Answer, error) {
	if d.o.Store == nil {
		return nil, noTokens()
	}
	caller, cookie, err := d.o.Guard.LogIn(r.Request, r.Form.Get("token"))
	if core.KindOf(err) == core.KindUnauthenticated && exchange.WantsPage(r.Request) {
		return d.form(r, "", exchange.ErrorBody(err).Message, http.StatusUnauthorized)
	}
	if err != nil {
		return nil, err
	}
	if d.o.Audit != nil {
		entry := audit.Entry{At: d.o.Clock(), Who: caller.Name, From: caller.From, Action: "POST /login", Result: "ok"}
		if _, err := d.o.Audit.AppendAudit(r.Context(), entry); err != nil {
			return nil, err
		}
	}
	d.o.Log.Info("somebody logged in", "who", caller.Name, "from", caller.From)
	return withCookie(cookie, exchange.Redirect(next(r))), nil
}

// LogOut answers POST /logout.
func (d *Desk) LogOut(r *exchange.Request) (exchange.Answer, error) {
	cookie, err := d.o.Guard.LogOut(r.Request)
	if err != nil {
		return nil, err
	}
	return withCookie(cookie, exchange.Redirect("/login")), nil
}

func withCookie(cookie *http.Cookie, answer exchange.Answer) exchange.Answer {
	return exchange.Func(func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, cookie)
		answer.WriteTo(w, r)
	})
}

func noTokens() error {
	return core.Errorf(core.KindUnsupported, "this controller keeps no tokens")
}

// Tokens answers GET /1.0/tokens.
func (d *Desk) Tokens(r *exchange.Request) (exchange.Answer, error) {
	list := protocol.Tokens{Tokens: []protocol.TokenInfo{}}
	if d.o.Store == nil {
		return exchange.JSON(list), nil
	}
	all, err := d.o.Store.Tokens(r.Context())
	if err != nil {
		return nil, err
	}
	for _, t := range all {
		list.Tokens = append(list.Tokens, d.info(t))
	}
	return exchange.JSON(list), nil
}

func (d *Desk) info(t token.Token) protocol.TokenInfo {
	return protocol.TokenInfo{
		ID: t.ID, Name: t.Name, Role: string(t.Role), State: t.State(d.o.Clock()),
		Created: unix(t.Created), Expires: unix(t.Expires), Revoked: unix(t.Revoked), LastUsed: unix(t.Used),
	}
}

func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// CreateToken answers POST /1.0/tokens: the fields role, name and expires.
func (d *Desk) CreateToken(r *exchange.Request) (exchange.Answer, error) {
	if d.o.Store == nil {
		return nil, noTokens()
	}
	role, err := token.ParseRole(r.Form.Get("role"))
	if err != nil {
		return nil, err
	}
	now := d.o.Clock()
	expires, err := token.ParseExpiry(r.Form.Get("expires"), now)
	if err != nil {
		return nil, err
	}
	made, text, err := token.Make(d.o.Rand, r.Form.Get("name"), role, now, expires)
	if err != nil {
		return nil, err
	}
	if err := d.o.Store.AddToken(r.Context(), made); err != nil {
		return nil, err
	}
	d.o.Guard.Forget()
	r.Became = Describe(made)
	return exchange.JSON(protocol.NewToken{TokenInfo: d.info(made), Token: text.Reveal()}), nil
}

// Describe says for the audit what a token is.
func Describe(t token.Token) string {
	expires := "never"
	if !t.Expires.IsZero() {
		expires = t.Expires.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("token %s role=%s expires=%s", t.Label(), t.Role, expires)
}

// RevokeToken answers POST /1.0/revoke-token: the field id, or the name of one
// that still counts.
func (d *Desk) RevokeToken(r *exchange.Request) (exchange.Answer, error) {
	if d.o.Store == nil {
		return nil, noTokens()
	}
	all, err := d.o.Store.Tokens(r.Context())
	if err != nil {
		return nil, err
	}
	t, err := token.Find(all, r.Form.First("id", "name"))
	if err != nil {
		return nil, err
	}
	now := d.o.Clock()
	if err := d.o.Store.RevokeToken(r.Context(), t.ID, now); err != nil {
		return nil, err
	}
	d.o.Guard.Forget()
	r.Was = Describe(t)
	t.Revoked = now
	r.Became = "revoked"
	return exchange.JSON(d.info(t)), nil
}
