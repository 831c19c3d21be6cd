package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/lorry-controller/lorry-controller/core"
)

// Webhook is a target that takes each message as JSON.
type Webhook struct {
	// URL may hold a secret in its path or query, as those of chat services do:
	// it is shown nowhere.
	URL core.Secret
	// Secret signs the messages when it is set.
	Secret core.Secret
	Client *http.Client
	Clock  core.Clock
}

// Name implements Target.
func (w *Webhook) Name() string { return "webhook" }

// Send implements Target. With a secret the message is signed:
// X-Lorry-Signature-256 is "sha256=" and the HMAC, in hex, of
// X-Lorry-Timestamp, a dot, and the body. X-Lorry-Delivery is the same for a
// message that is sent again.
func (w *Webhook) Send(ctx context.Context, m Message) error {
	body, err := json.Marshal(struct {
		Message
		Text string `json:"text"` // what chat services show
	}{m, m.Text()})
	if err != nil {
		return fmt.Errorf("message can't be encoded: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL.Reveal(), bytes.NewReader(body))
	if err != nil {
		return core.Errorf(core.KindInvalid, "URL of the webhook can't be used")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "lorry-controller")
	request.Header.Set("X-Lorry-Delivery", m.ID)
	stamp := strconv.FormatInt(w.Clock().Unix(), 10)
	request.Header.Set("X-Lorry-Timestamp", stamp)
	if !w.Secret.Empty() {
		mac := hmac.New(sha256.New, []byte(w.Secret.Reveal()))
		_, _ = io.WriteString(mac, stamp+".") // a hash never fails
		_, _ = mac.Write(body)
		request.Header.Set("X-Lorry-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	}
	response, err := w.Client.Do(request)
	if err != nil {
		return core.Errorf(core.KindUnavailable, "webhook at %s can't be reached: %w", request.URL.Host, withoutURL(err))
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)) // so that the connection can be kept
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return core.Errorf(core.KindUnavailable, "webhook at %s answered %q", request.URL.Host, response.Status)
	}
	return nil
}

// withoutURL leaves out the URL that net/http puts before an error.
func withoutURL(err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// NoRedirects is a policy for http.Client: a message goes where it was meant
// to go.
func NoRedirects(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
