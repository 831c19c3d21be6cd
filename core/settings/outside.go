package settings

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// Notify says who is told what needs people.
type Notify struct {
	// Webhook is a URL, whose path may be a secret; empty for none.
	Webhook, WebhookSecret core.Secret
	// Server is HOST:PORT of a mail server, or "".
	Server, Security string
	Username         string
	Password         core.Secret
	From             string
	To               []string
	// Events are the lanes that are told; none means all.
	Events                    []string
	Delay, Digest, StaleAfter time.Duration
}

// outsideOptions are about forges that tell of pushes, and people who are told
// of troubles.
func outsideOptions() []Option {
	return []Option{
		{Name: "webhook-secret-file", Reread: true, Kind: List, Metavar: "NAME=FILE", Doc: "Take webhooks at /1.0/webhook/FORGE/NAME from whoever knows a secret in FILE, one a line. The file is read for each webhook.", Check: checkFilePair},
		{Name: "notify-webhook", Reread: true, Secret: true, Metavar: "URL", Doc: "Send JSON to URL when something needs a person."},
		{Name: "notify-webhook-secret", Reread: true, Secret: true, Metavar: "SECRET", Doc: "Sign these messages with SECRET."},
		{Name: "notify-smtp", Reread: true, Metavar: "HOST:PORT", Doc: "Mail through this server when something needs a person.", Check: checkServer},
		{Name: "notify-smtp-security", Reread: true, Default: "starttls", Choices: []string{"starttls", "tls", "none"}, Metavar: "HOW", Doc: "How the connection to it is encrypted."},
		{Name: "notify-smtp-user", Reread: true, Metavar: "NAME", Doc: "Log in there under this name."},
		{Name: "notify-smtp-password", Reread: true, Secret: true, Metavar: "PASSWORD", Doc: "The password for it."},
		{Name: "notify-from", Reread: true, Metavar: "ADDRESS", Doc: "The sender of these mails.", Check: checkMailAddress},
		{Name: "notify-to", Reread: true, Kind: List, Metavar: "ADDRESS", Doc: "A recipient of these mails.", Check: checkMailAddress},
		{Name: "notify-events", Reread: true, Kind: List, Metavar: "EVENT", Doc: "Tell of these alone: failures, approvals, staleness, adapters, disk, credentials. Default: all.", Check: checkEvent},
		{Name: "notify-delay", Reread: true, Kind: Duration, Default: "1m", Metavar: "TIME", Doc: "Wait so long whether more of the same comes."},
		{Name: "notify-digest", Reread: true, Kind: Duration, Default: "1h", Metavar: "TIME", Doc: "Tell of the same kind of event at most so often; what comes meanwhile is told together."},
		{Name: "notify-stale-after", Reread: true, Kind: Duration, Default: "7d", Metavar: "TIME", Doc: "Tell of mirrors that do not fail and were not equal to their upstream for so long; 0 means never."},
		{Name: "metrics-per-lorry", Kind: Bool, Default: "no", Doc: "Keep metrics of each single Lorry too: several series for each."},
	}
}

func notifySettings(v *Values) (Notify, error) {
	n := Notify{
		Webhook: v.Secret("notify-webhook"), WebhookSecret: v.Secret("notify-webhook-secret"),
		Server: v.String("notify-smtp"), Security: v.String("notify-smtp-security"),
		Username: v.String("notify-smtp-user"), Password: v.Secret("notify-smtp-password"),
		From: v.String("notify-from"), To: v.List("notify-to"), Events: v.List("notify-events"),
		Delay: v.Duration("notify-delay"), Digest: v.Duration("notify-digest"), StaleAfter: v.Duration("notify-stale-after"),
	}
	var errs []error
	need := func(name, needs string, wrong bool) {
		if wrong {
			errs = append(errs, fmt.Errorf("%s: needs %s", v.Source(name), needs))
		}
	}
	need("notify-smtp", "notify-from and notify-to", n.Server != "" && (n.From == "" || len(n.To) == 0))
	need("notify-to", "notify-smtp", len(n.To) > 0 && n.Server == "")
	need("notify-smtp-user", "notify-smtp-password", n.Username != "" && n.Password.Empty())
	need("notify-smtp-password", "notify-smtp-user", n.Username == "" && !n.Password.Empty())
	need("notify-webhook-secret", "notify-webhook", n.Webhook.Empty() && !n.WebhookSecret.Empty())
	need("notify-smtp-security", "an encrypted connection (starttls or tls), since there is a password", n.Security == "none" && !n.Password.Empty() && !onLoopback(n.Server))
	// What comes out of a file is not seen by Check.
	if err := checkHTTPURL(n.Webhook.Reveal()); err != nil {
		errs = append(errs, fmt.Errorf("%s: %w", v.Source("notify-webhook"), err))
	}
	return n, errors.Join(errs...)
}

func onLoopback(server string) bool {
	host, _, _ := net.SplitHostPort(server)
	return core.Loopback(host)
}

// checkHTTPURL does not repeat the URL, since it may be a secret.
func checkHTTPURL(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	switch {
	case err != nil, u.Scheme != "https" && u.Scheme != "http", u.Host == "":
		return errors.New("must be a URL such as https://hooks.example.com/lorries")
	case u.User != nil:
		return errors.New("must hold no user name and no password")
	}
	return nil
}

func checkServer(text string) error {
	if text == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil || host == "" || port == "" {
		return fmt.Errorf("%q is not HOST:PORT, such as mail.example.com:587", text)
	}
	return checkPort(port)
}

func checkMailAddress(text string) error {
	if _, err := mail.ParseAddress(text); text != "" && (err != nil || strings.ContainsAny(text, "\r\n")) {
		return fmt.Errorf("%q is no mail address", text)
	}
	return nil
}

func checkEvent(text string) error {
	switch text {
	case "failures", "approvals", "staleness", "adapters", "disk", "credentials":
		return nil
	}
	return fmt.Errorf("%q is none of failures, approvals, staleness, adapters, disk, credentials", text)
}
