package protocol

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// maxAnswer bounds how much of an answer is read, in bytes, so that something
// which is no controller can't fill the memory; of one to a minion, which may
// have jobs under way, maxGiven.
const maxAnswer, maxGiven = 512 << 20, 64 << 20

// Client calls a controller. Its errors are *core.Error: the kind that the
// controller told, or core.KindUnavailable when it could not be reached.
type Client struct {
	// Base is the controller's URL, such as http://localhost:12765.
	Base string
	// HTTP makes the calls. It should have no Timeout, since long polls take
	// long: bound a call with its context.
	HTTP *http.Client
	// Token, when set, is sent as a bearer token.
	Token core.Secret
}

// GiveMeJob asks for jobs; the answer's All gives them. It is sent as a form with the
// original's field names, so that a controller which knows only those answers
// too; its answer is understood as well.
func (c *Client) GiveMeJob(ctx context.Context, ask GiveMeJob) (Job, error) {
	form := url.Values{"host": {ask.Host}, "pid": {strconv.Itoa(ask.PID)}, "version": {strconv.Itoa(Version)}}
	if ask.Build != "" {
		form.Set("build", ask.Build)
	}
	if ask.Max > 1 {
		form.Set("max", strconv.Itoa(ask.Max))
	}
	if ask.Wait > 0 {
		form.Set("wait", strconv.Itoa(ask.Wait))
	}
	if ask.Free > 0 {
		form.Set("free", strconv.FormatInt(ask.Free, 10))
	}
	form["holds"], form["labels"] = ask.Holds, ask.Labels
	var answer Job
	err := c.post(ctx, "/1.0/give-me-job", form, maxGiven, &answer)
	return answer, err
}

// All gives the jobs of an answer: several, one or none. Each has a JobID; what
// came without one is left out.
func (j Job) All() []Job {
	if len(j.Jobs) > 0 {
		return slices.DeleteFunc(slices.Clone(j.Jobs), func(one Job) bool { return one.JobID == nil })
	}
	if j.JobID == nil {
		return nil
	}
	return []Job{j}
}

// Update reports on jobs and gives the answers in the same order. Updates
// without a fence come from a job of the original's controller and are sent as
// it wants them.
func (c *Client) Update(ctx context.Context, updates []Update) ([]UpdateAnswer, error) {
	if len(updates) > 0 && updates[0].Fence == 0 {
		return c.updateForms(ctx, updates)
	}
	body, err := json.Marshal(updates)
	if err != nil {
		return nil, fmt.Errorf("updates can't be encoded: %w", err)
	}
	var answers []UpdateAnswer
	err = c.call(ctx, request{http.MethodPost, "/1.0/job-update", "application/json", body, maxGiven}, &answers)
	if err == nil && len(answers) != len(updates) {
		err = core.Errorf(core.KindInternal, "controller answered %d updates of %d", len(answers), len(updates))
	}
	return answers, err
}

func (c *Client) updateForms(ctx context.Context, updates []Update) ([]UpdateAnswer, error) {
	answers := make([]UpdateAnswer, 0, len(updates))
	for _, u := range updates {
		form := url.Values{
			"job_id": {strconv.FormatInt(int64(u.JobID), 10)}, "exit": {u.Exit},
			"stdout": {u.Stdout}, "stderr": {u.Stderr}, "disk_usage": {strconv.FormatInt(u.DiskUsage, 10)},
		}
		var answer UpdateAnswer
		if err := c.post(ctx, "/1.0/job-update", form, maxGiven, &answer); err != nil {
			return nil, err
		}
		answer.JobID = u.JobID
		answers = append(answers, answer)
	}
	return answers, nil
}

// Get reads a route; out takes its JSON, or its text when it is a *string.
func (c *Client) Get(ctx context.Context, path string, query url.Values, out any) error {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return c.call(ctx, request{method: http.MethodGet, path: path, most: maxAnswer}, out)
}

// Post sends a form to a route; out is as in Get, or nil.
func (c *Client) Post(ctx context.Context, path string, form url.Values, out any) error {
	return c.post(ctx, path, form, maxAnswer, out)
}

// post sends a form, and reads up to so many bytes of the answer.
func (c *Client) post(ctx context.Context, path string, form url.Values, most int64, out any) error {
	return c.call(ctx, request{http.MethodPost, path, "application/x-www-form-urlencoded", []byte(form.Encode()), most}, out)
}

// request is one call of the API.
type request struct {
	method, path, contentType string
	body                      []byte
	most                      int64 // bytes of the answer
}

func (c *Client) call(ctx context.Context, r request, out any) error {
	asked, err := http.NewRequestWithContext(ctx, r.method, strings.TrimRight(c.Base, "/")+r.path, bytes.NewReader(r.body))
	if err != nil {
		return core.Errorf(core.KindInvalid, "controller's URL %q can't be used: %w", c.Base, err)
	}
	if r.contentType != "" {
		asked.Header.Set("Content-Type", r.contentType)
	}
	asked.Header.Set("Accept", "application/json")
	if !c.Token.Empty() {
		asked.Header.Set("Authorization", "Bearer "+c.Token.Reveal())
	}
	response, err := c.HTTP.Do(asked)
	if err != nil {
		return unreachable(ctx, c.Base, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, r.most+1))
	if err != nil {
		return unreachable(ctx, c.Base, err)
	}
	if int64(len(text)) > r.most {
		return &core.Error{
			Kind: core.KindUnavailable, Fact: fmt.Sprintf("answer to %s is longer than %d MB, which is read of one", r.path, r.most>>20),
			Hint: "check that the URL is the controller's, and what stands between",
		}
	}
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return answerError(response, text)
	}
	return decode(text, r.path, out)
}

func decode(text []byte, path string, out any) error {
	switch out := out.(type) {
	case nil:
		return nil
	case *string:
		*out = string(text)
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return &core.Error{
			Kind: core.KindUnavailable, Err: err, Fact: fmt.Sprintf("answer to %s is not the controller's: %v", path, err),
			Hint: "check that the URL is the controller's, and what stands between",
		}
	}
	return nil
}

// unreachable words a failed call without repeating the URL's every part.
func unreachable(ctx context.Context, base string, err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return &core.Error{
		Kind: core.KindUnavailable, Err: err, Fact: fmt.Sprintf("controller at %s can't be reached: %v", base, err),
		Hint: nextStep(err),
	}
}

// nextStep says what to do about a connection that was not made.
func nextStep(err error) string {
	var untrusted *tls.CertificateVerificationError
	var op *net.OpError
	switch {
	case errors.As(err, &untrusted):
		return "name the authority of the controller's certificate with ca-file (LORRY_CA_FILE for lorryctl), and the controller as its certificate does"
	case errors.As(err, &op) && op.Op == "remote error": // an alert of TLS
		return "the controller takes no such client certificate: it must be of the authority that its minion-ca names, and valid"
	}
	return "check the address, and that the controller runs"
}

// answerError makes an error of an answer that is not 2xx.
func answerError(response *http.Response, text []byte) error {
	var body Error
	if json.Unmarshal(text, &body) != nil {
		body = Error{}
	}
	own := body.Message != "" && body.Kind != ""
	if body.Message == "" {
		body.Message = fmt.Sprintf("controller answered %q", response.Status)
	}
	if body.Kind == "" {
		body.Kind = kindOfStatus(response.StatusCode)
	}
	e := &core.Error{Kind: body.Kind, Fact: body.Message, Hint: body.Hint, Err: &refusal{status: response.StatusCode, own: own}}
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.RetryAfter = time.Duration(seconds) * time.Second
	}
	return e
}

func kindOfStatus(status int) core.Kind {
	switch status {
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusRequestEntityTooLarge:
		return core.KindInvalid
	case http.StatusUnauthorized:
		return core.KindUnauthenticated
	case http.StatusForbidden:
		return core.KindDenied
	case http.StatusNotFound:
		return core.KindNotFound
	case http.StatusConflict:
		return core.KindConflict
	case http.StatusTooManyRequests:
		return core.KindRateLimited
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return core.KindUnavailable
	default:
		return core.KindInternal
	}
}
