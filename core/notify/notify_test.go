package notify

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

func someMessage() Message {
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return newMessage("id", since, Failures, []News{
		{State: Began, Host: "git.example.com", Cause: "network", Count: 12, New: 12, Since: since, Sample: []Item{{"m/one", "bad\r\nBcc: thief@example.com"}}},
		{State: Over, Host: "git.example.org", Cause: "auth", Count: 1, Since: since},
	})
}

func TestAMessageSaysWhatAndWhere(t *testing.T) {
	t.Parallel()
	m := someMessage()
	if want := "12 Lorries fail at git.example.com: network; 1 Lorry works again at git.example.org"; m.Subject != want {
		t.Errorf("subject %q, want %q", m.Subject, want)
	}
	for _, want := range []string{"12 Lorries fail at git.example.com: network, since 2026-01-02 03:04 UTC", "  m/one: bad", "and 11 more", "1 Lorry works again at git.example.org: auth"} {
		if !strings.Contains(m.Text(), want) {
			t.Errorf("the text lacks %q:\n%s", want, m.Text())
		}
	}
}

func TestNothingFromOutsideBecomesAHeader(t *testing.T) {
	t.Parallel()
	m := someMessage()
	m.Subject = "x\r\nBcc: thief@example.com\r\n\r\nbody"
	from, err := mail.ParseAddress("Lorry Controller <lorry@example.com>")
	if err != nil {
		t.Fatal(err)
	}
	read, err := mail.ReadMessage(strings.NewReader((&Mail{To: []string{"a@example.com"}}).compose(from, m)))
	if err != nil {
		t.Fatal(err)
	}
	if read.Header.Get("Bcc") != "" || len(read.Header) != 9 || read.Header.Get("Message-ID") != "<id@example.com>" {
		t.Errorf("headers %v", read.Header)
	}
}

// A password must not go to a server that does not encrypt, whoever took the
// STARTTLS out of its greeting.
func TestWithoutEncryptionNothingIsSent(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := make(chan string, 1)
	go func() {
		var all strings.Builder
		defer func() { got <- all.String() }()
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if _, err := conn.Write([]byte("220 ready\r\n")); err != nil {
			return
		}
		for in := bufio.NewScanner(conn); in.Scan(); {
			all.WriteString(in.Text() + "\n")
			if _, err := conn.Write([]byte("250-mail\r\n250 AUTH PLAIN\r\n")); err != nil {
				return
			}
		}
	}()
	target := &Mail{
		Server: l.Addr().String(), Security: StartTLS, Username: "u", Password: core.NewSecret("s3cret"),
		From: "a@example.com", To: []string{"b@example.com"}, Hello: "here",
	}
	err = target.Send(t.Context(), someMessage())
	if err == nil || !strings.Contains(err.Error(), "does not offer STARTTLS") {
		t.Errorf("got %v", err)
	}
	if text := <-got; text != "EHLO here\n" {
		t.Errorf("the server was told %q", text)
	}
}

func TestAWebhooksURLIsNotTold(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1:1/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	target := &Webhook{URL: core.NewSecret(server.URL + "/canary-path"), Clock: time.Now, Client: &http.Client{CheckRedirect: NoRedirects}}
	err := target.Send(t.Context(), someMessage())
	if err == nil || strings.Contains(err.Error(), "canary") || !strings.Contains(err.Error(), "307") {
		t.Errorf("a redirect: %v", err)
	}
	server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err = target.Send(ctx, someMessage()); err == nil || strings.Contains(err.Error(), "canary") {
		t.Errorf("nobody there: %v", err)
	}
	if _, err := New(Options{}); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("a notifier without options: %v", err)
	}
}
