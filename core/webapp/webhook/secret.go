package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
)

const (
	// maxBody is the longest body in bytes. Forges send kilobytes; a push of
	// very many commits is longer.
	maxBody = 5 << 20
	// smallBody is what is read of any sender's body without waiting.
	smallBody = 64 << 10
	// maxLarge bounds how many larger bodies are read at once.
	maxLarge = 4
	// signatureAge is how long a signature with a time in it is good for.
	signatureAge = 5 * time.Minute
	// eventAge is how old an event may be whose forge tells its time.
	eventAge = 15 * time.Minute
)

// timestamp is a time that may be missing.
type timestamp = time.Time

// signature is what a sender shows: the secret itself, or an HMAC of the body.
type signature struct {
	secret string // the secret itself
	// hmac are texts one of which must be encode(HMAC-SHA256(secret, prefix + body)).
	hmac   []string
	prefix string
	encode func(sum []byte) string
	key    func(secret string) []byte
	// at is the time that the signature covers, if it covers one.
	at timestamp
}

func (s signature) missing() bool { return s.secret == "" && len(s.hmac) == 0 }

// authentic gives the body once the sender has shown that it knows the secret.
// A secret that is sent as it is gets checked before the body is read. So does
// a token of the API, whose role the server has looked at.
func (w *Webhooks) authentic(r *exchange.Request, f forge, name string) ([]byte, error) {
	if r.Caller.Proven {
		return body(w.large, r.Request)
	}
	secrets, err := w.o.Secrets(name)
	if err != nil {
		return nil, err
	}
	shown, err := f.signature(r.Request)
	if err != nil {
		return nil, w.wrong(r.Request, err)
	}
	if shown.missing() {
		return nil, w.wrong(r.Request, refusal(core.KindUnauthenticated, "webhook shows no secret and no signature",
			"set the secret in the forge's webhook; it is to be sent in "+f.needs))
	}
	if !shown.at.IsZero() {
		if err := w.timely(shown.at, signatureAge); err != nil {
			return nil, w.wrong(r.Request, err)
		}
	}
	var text []byte
	right := func(secret string) bool { return equal(shown.secret, secret) }
	if len(shown.hmac) > 0 {
		if text, err = body(w.large, r.Request); err != nil {
			return nil, err
		}
		right = func(secret string) bool { return shown.signs(secret, text) }
	}
	if !matches(secrets, right) {
		return nil, w.wrong(r.Request, refusal(core.KindDenied, "webhook "+strconv.Quote(clip(name))+" is not known here, or its secret is another one",
			"compare the secret in the forge's webhook with the file that webhook-secret-file names"))
	}
	if len(shown.hmac) > 0 {
		return text, nil
	}
	return body(w.large, r.Request)
}

// wrong counts a wrong secret and gives the answer to it. One that is right
// always gets in, however many wrong ones came from the same address.
func (w *Webhooks) wrong(r *http.Request, err error) error {
	if wait := w.tries.failed(r.RemoteAddr); wait > 0 {
		return &core.Error{
			Kind: core.KindRateLimited, RetryAfter: wait, Fact: "too many webhooks with a wrong secret came from this address",
			Hint: "put the right secret into the forge's webhook",
		}
	}
	return err
}

// matches tries every secret, so that it takes as long whichever is right. An
// unknown webhook is compared with something too.
func matches(secrets []core.Secret, same func(secret string) bool) bool {
	found := false
	for _, secret := range secrets {
		if !secret.Empty() && same(secret.Reveal()) {
			found = true
		}
	}
	if len(secrets) == 0 {
		same("there is no such webhook")
		return false
	}
	return found
}

// equal compares in a time that does not depend on where two texts differ.
func equal(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

func (s signature) signs(secret string, body []byte) bool {
	mac := hmac.New(sha256.New, s.key(secret))
	_, _ = io.WriteString(mac, s.prefix) // a hash never fails
	_, _ = mac.Write(body)
	want := s.encode(mac.Sum(nil))
	found := false
	for _, shown := range s.hmac {
		if equal(shown, want) {
			found = true
		}
	}
	return found
}

// plainKey takes a secret as it stands.
func plainKey(secret string) []byte { return []byte(secret) }

// standardKey takes a secret of the form that the Standard Webhooks
// specification gives it, "whsec_" and base64, and any other as it stands.
func standardKey(secret string) []byte {
	if rest, ok := strings.CutPrefix(secret, "whsec_"); ok {
		if key, err := base64.StdEncoding.DecodeString(rest); err == nil {
			return key
		}
	}
	return []byte(secret)
}

func inHex(sum []byte) string { return hex.EncodeToString(sum) }

func inBase64(sum []byte) string { return base64.StdEncoding.EncodeToString(sum) }

// timely refuses what is too old, or from the future.
func (w *Webhooks) timely(at time.Time, most time.Duration) error {
	age := w.o.Clock().Sub(at)
	if age <= most && age >= -signatureAge {
		return nil
	}
	return refusal(core.KindDenied, "webhook was sent at "+at.UTC().Format(time.RFC3339)+", too far from now",
		"compare the clocks of the forge and the controller; a delivery that is sent again by hand must be newly signed")
}

// body reads the body. Only a few large ones are held at once; the others wait.
func body(large chan struct{}, r *http.Request) ([]byte, error) {
	unreadable := func(err error) error {
		return core.Errorf(core.KindInvalid, "body of the webhook could not be read: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(r.Body, smallBody))
	if err != nil {
		return nil, unreadable(err)
	}
	if len(text) < smallBody {
		return text, nil
	}
	select {
	case large <- struct{}{}:
		defer func() { <-large }()
	case <-r.Context().Done():
		return nil, core.Errorf(core.KindUnavailable, "too many large webhooks at once")
	}
	rest, err := io.ReadAll(io.LimitReader(r.Body, maxBody-smallBody+1))
	if err != nil {
		return nil, unreadable(err)
	}
	if len(text)+len(rest) > maxBody {
		return nil, &http.MaxBytesError{Limit: maxBody}
	}
	return append(text, rest...), nil
}
