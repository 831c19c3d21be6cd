package notify

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"mime"
	"net"
	"net/mail"
	"net/smtp"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// Security says how a mail server is spoken to.
type Security string

// The kinds of security.
const (
	StartTLS Security = "starttls" // the connection is encrypted before anything is told
	TLS      Security = "tls"      // from the first byte on, usually port 465
	Plain    Security = "none"     // for a server on this machine
)

// Mail is a target that mails each message.
type Mail struct {
	Server   string // HOST:PORT
	Security Security
	Username string // "": no log-in
	Password core.Secret
	From     string
	To       []string
	// Hello is the name that this machine gives itself.
	Hello string
	// TLS is the configuration; ServerName is filled in.
	TLS *tls.Config
}

// Name implements Target.
func (m *Mail) Name() string { return "mail" }

// Send implements Target.
func (m *Mail) Send(ctx context.Context, message Message) error {
	client, done, err := m.connect(ctx)
	if err != nil {
		return m.failed(ctx, err)
	}
	defer done()
	if err := m.transact(client, message); err != nil {
		return m.failed(ctx, err)
	}
	return nil
}

func (m *Mail) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return core.Errorf(core.KindUnavailable, "mail through %s failed: %w", m.Server, err)
}

// connect opens a connection that ends with ctx.
func (m *Mail) connect(ctx context.Context) (*smtp.Client, func(), error) {
	host, _, err := net.SplitHostPort(m.Server)
	if err != nil {
		return nil, nil, err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", m.Server)
	if err != nil {
		return nil, nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	done := func() {
		stop()
		_ = conn.Close()
	}
	config := m.TLS.Clone()
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	config.ServerName = host
	if m.Security == TLS {
		conn = tls.Client(conn, config)
	}
	client, err := smtp.NewClient(conn, host)
	if err == nil {
		err = m.greet(client, config)
	}
	if err != nil {
		done()
		return nil, nil, err
	}
	return client, done, nil
}

// greet says hello, encrypts, and logs in.
func (m *Mail) greet(client *smtp.Client, config *tls.Config) error {
	if err := client.Hello(m.Hello); err != nil {
		return err
	}
	if m.Security == StartTLS {
		if ok, _ := client.Extension("STARTTLS"); !ok {
			return fmt.Errorf("it does not offer STARTTLS; nothing is sent in the clear unless notify-smtp-security is %q", Plain)
		}
		if err := client.StartTLS(config); err != nil {
			return err
		}
	}
	if m.Username == "" {
		return nil
	}
	// PlainAuth itself refuses a connection that is neither encrypted nor local.
	return client.Auth(smtp.PlainAuth("", m.Username, m.Password.Reveal(), config.ServerName))
}

func (m *Mail) transact(client *smtp.Client, message Message) error {
	from, err := mail.ParseAddress(m.From)
	if err != nil {
		return fmt.Errorf("sender %q: %w", m.From, err)
	}
	if err := client.Mail(from.Address); err != nil {
		return err
	}
	for _, to := range m.To {
		address, err := mail.ParseAddress(to)
		if err != nil {
			return fmt.Errorf("recipient %q: %w", to, err)
		}
		if err := client.Rcpt(address.Address); err != nil {
			return fmt.Errorf("recipient %s: %w", address.Address, err)
		}
	}
	body, err := client.Data()
	if err != nil {
		return err
	}
	if _, err := body.Write([]byte(m.compose(from, message))); err != nil {
		return err
	}
	if err := body.Close(); err != nil {
		return err
	}
	_ = client.Quit() // the server has the message
	return nil
}

// compose writes the mail. The body is base64, so that no line is too long and
// nothing in it is taken for a header.
func (m *Mail) compose(from *mail.Address, message Message) string {
	_, domain, _ := strings.Cut(from.Address, "@")
	var b strings.Builder
	for _, header := range [][2]string{
		{"From", from.String()},
		{"To", strings.Join(m.To, ", ")},
		{"Subject", mime.QEncoding.Encode("utf-8", "[Lorry Controller] "+oneLine(message.Subject))},
		{"Date", message.At.Format(time.RFC1123Z)},
		{"Message-ID", "<" + message.ID + "@" + domain + ">"},
		{"Auto-Submitted", "auto-generated"},
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "base64"},
	} {
		b.WriteString(header[0] + ": " + oneLine(header[1]) + "\r\n")
	}
	b.WriteString("\r\n")
	text := base64.StdEncoding.EncodeToString([]byte(message.Text()))
	for len(text) > 76 {
		b.WriteString(text[:76] + "\r\n")
		text = text[76:]
	}
	b.WriteString(text + "\r\n")
	return b.String()
}

// oneLine keeps what comes from outside from being taken for a header.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
