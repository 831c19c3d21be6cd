package protocol

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
)

func TestNiceTexts(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	got := []string{
		NiceTime(now), NiceTime(time.Time{}),
		NiceInterval(2 * time.Hour), NiceInterval(61 * time.Second), NiceInterval(0), NiceInterval(-time.Hour),
		NiceDue(now, now), NiceDue(now.Add(119*time.Minute), now), NiceDue(now.Add(100*time.Hour), now), NiceDue(now.Add(59*time.Second), now),
		NiceSize(0), NiceSize(1023), NiceSize(1536), NiceSize(5 << 30), NiceSize(-1),
	}
	want := []string{
		"2026-03-01 12:00:00 UTC", "",
		"2 h 0 min 0 s", "1 min 1 s", "0 s", "0 s",
		"now", "in 1 h 59 min", "in 4 d 4 h", "in 59 s",
		"0 B", "1023 B", "1.5 KiB", "5.0 GiB", "0 B",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func answering(t *testing.T, status int, header, body string) *Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if header != "" {
			w.Header().Set("Retry-After", header)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}))
	t.Cleanup(server.Close)
	return &Client{Base: server.URL + "/", HTTP: server.Client()}
}

func TestErrorsHaveAKind(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status       int
		header, body string
		kind         core.Kind
		fact         string
		foreign      bool
	}{
		{409, "", `{"kind": "conflict", "message": "job 3 does not run", "hint": "x"}`, core.KindConflict, "job 3 does not run", false},
		{404, "", "<html>Error: 404 Not Found</html>", core.KindNotFound, `controller answered "404 Not Found"`, true},
		{403, "", `{"message": "no route matched"}`, core.KindDenied, "no route matched", true},
		{404, "", `{"kind": 7, "message": "no such thing"}`, core.KindNotFound, `controller answered "404 Not Found"`, true},
		{413, "", `{"kind": "invalid", "message": "body is longer than 7 bytes"}`, core.KindInvalid, "body is longer than 7 bytes", false},
		{413, "", "", core.KindInvalid, `controller answered "413 Request Entity Too Large"`, true},
		{502, "", "", core.KindUnavailable, `controller answered "502 Bad Gateway"`, true},
		{500, "", "{}", core.KindInternal, `controller answered "500 Internal Server Error"`, true},
		{429, "7", "", core.KindRateLimited, `controller answered "429 Too Many Requests"`, true},
		{200, "", "<html>a captive portal</html>", core.KindUnavailable, "answer to /1.0/give-me-job is not the controller's", false},
	} {
		_, err := answering(t, test.status, test.header, test.body).GiveMeJob(t.Context(), GiveMeJob{Host: "m"})
		known, ok := err.(*core.Error) //nolint:errorlint // the client promises this type itself
		if !ok || known.Kind != test.kind || !strings.HasPrefix(known.Fact, test.fact) {
			t.Errorf("%+v: got %#v", test, err)
			continue
		}
		if Foreign(err) != test.foreign || TooLong(err) != (test.status == 413) {
			t.Errorf("%+v: foreign %t, too long %t", test, Foreign(err), TooLong(err))
		}
		if test.header != "" && known.RetryAfter != 7*time.Second {
			t.Errorf("want 7 s, got %s", known.RetryAfter)
		}
	}
}

func TestAControllerThatIsNotThereIsUnavailable(t *testing.T) {
	t.Parallel()
	c := answering(t, 200, "", "")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.GiveMeJob(ctx, GiveMeJob{})
	if err == nil || core.KindOf(err) != core.KindUnavailable || !strings.Contains(err.Error(), "context canceled") {
		t.Errorf("got %v", err)
	}
	c.Base = "http://127.0.0.1:1"
	if err := c.Get(t.Context(), "/1.0/status", nil, nil); err == nil || core.KindOf(err) != core.KindUnavailable {
		t.Errorf("got %v", err)
	}
}

func TestTextAnswers(t *testing.T) {
	t.Parallel()
	var text string
	if err := answering(t, 200, "", "Queue set to run").Post(t.Context(), "/1.0/start-queue", nil, &text); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("Queue set to run", text); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAnEmptyJobIsNullAlone(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(Job{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(`{"job_id":null}`, string(text)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	one := core.JobID(1)
	known := Job{JobID: &one, Path: "a"}
	for _, test := range []struct {
		of   Job
		want []Job
	}{
		{Job{}, nil},
		{Job{Path: "a"}, nil},
		{known, []Job{known}},
		{Job{Jobs: []Job{{Path: "x"}, known, {}}}, []Job{known}},
		{Job{Jobs: []Job{{Path: "x"}}}, []Job{}},
	} {
		if diff := cmp.Diff(test.want, test.of.All()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestProgressInWords(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]core.Progress{
		"working":                          {},
		"fetching":                         {Phase: "fetching"},
		"fetching, 1 ref":                  {Phase: "fetching", Refs: 1},
		"Counting objects: 17, 3 refs":     {Phase: "Counting objects", Done: 17, Refs: 3},
		"Resolving deltas: 100% (5 of 4)":  {Phase: "Resolving deltas", Done: 5, Total: 4},
		"x: 0% (0 of 9223372036854775807)": {Phase: "x", Total: 1<<63 - 1},
		"Receiving objects: 50% (1 of 2), 1.0 KiB, 2.0 KiB/s, 3 of 4 refs": {
			Phase: "Receiving objects", Done: 1, Total: 2, Bytes: 1024, Rate: 2048, Refs: 4, RefsDone: 3,
		},
	} {
		if diff := cmp.Diff(want, NiceProgress(p)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if got := ProgressOf(nil); got != nil {
		t.Errorf("no progress is shown as %+v", got)
	}
}

// TestAConnectionThatIsNotTrustedHasItsOwnNextStep holds that nobody is sent to
// check an address when it is a certificate that is wrong.
func TestAConnectionThatIsNotTrustedHasItsOwnNextStep(t *testing.T) {
	t.Parallel()
	trusting := httptest.NewUnstartedServer(http.NotFoundHandler())
	trusting.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS13}
	trusting.Config.ErrorLog = log.New(io.Discard, "", 0)
	trusting.StartTLS()
	defer trusting.Close()
	for want, client := range map[string]*http.Client{
		"ca-file":   {Transport: &http.Transport{}},
		"minion-ca": trusting.Client(),
	} {
		var known *core.Error
		err := (&Client{Base: trusting.URL, HTTP: client}).Get(t.Context(), "/1.0/status", nil, nil)
		if !errors.As(err, &known) || known.Kind != core.KindUnavailable || !strings.Contains(known.Hint, want) {
			t.Errorf("want a hint with %q, got %+v", want, known)
		}
		client.CloseIdleConnections()
	}
}
