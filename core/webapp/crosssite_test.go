package webapp_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/lorry-controller/lorry-controller/core/token"
)

// attacker is another site whose page sends a form as soon as it is shown.
func attacker(t *testing.T, target string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		if r.URL.Path != "/" {
			_, _ = fmt.Fprint(w, "<p>nothing here</p>")
			return
		}
		_, _ = fmt.Fprintf(w, `<form method="post" action=%q><input name="redirect" value="/1.0/status-html"></form>
			<p id="lure">look</p><script>document.forms[0].submit()</script>`, target)
	}))
	t.Cleanup(server.Close)
	// Another name for this machine is another site.
	return strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
}

func TestABrowserLogsInAndAnotherSiteCanNotUseThat(t *testing.T) {
	t.Parallel()
	ctx := browser(t)
	s := newSecured(t)
	s.queue.Put(foo())
	var text string
	var location string
	// Without any token, whoever is on this machine may do everything; a page
	// of another site may not.
	if err := chromedp.Run(ctx, chromedp.Navigate(attacker(t, s.URL+"/1.0/stop-queue")), chromedp.WaitVisible("//h1[contains(., '403')]"),
		chromedp.Text("body", &text)); err != nil {
		t.Fatal(err)
	}
	s.stillRuns(t, "without a token", text)

	_, operator := s.make(t, token.Operator, time.Time{})
	s.clock.Add(2 * time.Second)
	err := chromedp.Run(ctx,
		chromedp.Navigate(s.URL+"/1.0/lorry-html/upstream/foo"), chromedp.WaitVisible("#token"),
		chromedp.SendKeys("#token", "wrong\r"), chromedp.WaitVisible(`[role="alert"]`),
		chromedp.Navigate(s.URL+"/1.0/lorry-html/upstream/foo"), chromedp.WaitVisible("#token"),
		chromedp.SendKeys("#token", operator+"\r"), chromedp.WaitVisible("//h1[contains(., 'upstream/foo')]"),
		chromedp.Location(&location),
	)
	if err != nil {
		t.Fatal(err)
	}
	if location != s.URL+"/1.0/lorry-html/upstream/foo" {
		t.Errorf("the login leads to %s", location)
	}
	if err := chromedp.Run(ctx, chromedp.Navigate(attacker(t, s.URL+"/1.0/stop-queue")), chromedp.WaitVisible("//h1[contains(., '403')]"),
		chromedp.Text("body", &text)); err != nil {
		t.Fatal(err)
	}
	s.stillRuns(t, "with a session", text)

	// The controller's own button works with the same session.
	button := `//form[@action="/1.0/stop-queue"]//button`
	err = chromedp.Run(ctx, chromedp.Navigate(s.URL+"/1.0/status-html"), chromedp.WaitVisible(button), chromedp.Click(button),
		chromedp.WaitVisible(`//form[@action="/1.0/start-queue"]//button`))
	if err != nil {
		t.Fatal(err)
	}
	if row := s.newest(t); row.Action != "POST /1.0/stop-queue" || row.Result != "ok" || !strings.HasPrefix(row.Who, "operator-") {
		t.Errorf("the button left %+v", row)
	}
	err = chromedp.Run(ctx, chromedp.Navigate(s.URL+"/login"), chromedp.Click(`//form[@action="/logout"]//button`),
		chromedp.WaitNotPresent(`//form[@action="/logout"]`), chromedp.Navigate(s.URL+"/1.0/status-html"), chromedp.WaitVisible("#token"))
	if err != nil {
		t.Fatal(err)
	}
}

// stillRuns fails when the queue was stopped, or when the request did not even
// come.
func (s *secured) stillRuns(t *testing.T, when, page string) {
	t.Helper()
	status, err := s.queue.Status(t.Context())
	if err != nil || !status.Running {
		t.Errorf("%s: a page of another site stopped the queue (%v)", when, err)
	}
	if !strings.Contains(page, "another site") {
		t.Errorf("%s: the request was not refused for what it is: %q", when, page)
	}
}
