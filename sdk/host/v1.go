package host

import (
	"context"
	"errors"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lorry-controller/lorry-controller/sdk"
	adapterv1 "github.com/lorry-controller/lorry-controller/sdk/internal/gen/lorry/adapter/v1"
	"github.com/lorry-controller/lorry-controller/sdk/internal/text"
	"github.com/lorry-controller/lorry-controller/sdk/internal/wire"
)

// Deadlines is how long each call may take. A zero field means the contract's.
type Deadlines struct {
	Describe, Validate, Configure, Check, Close time.Duration
	// Page is the longest pause within a listing, Listing the longest listing.
	Page, Listing               time.Duration
	Repo, Ensure, After, Retire time.Duration
	Paths                       time.Duration
}

func (d Deadlines) orDefault() Deadlines {
	set := func(p *time.Duration, def time.Duration) {
		if *p == 0 {
			*p = def
		}
	}
	set(&d.Describe, 2*time.Second)
	set(&d.Validate, 5*time.Second)
	set(&d.Configure, 30*time.Second)
	set(&d.Check, 30*time.Second)
	set(&d.Close, 5*time.Second)
	set(&d.Page, time.Minute)
	set(&d.Listing, 30*time.Minute)
	set(&d.Repo, 30*time.Second)
	set(&d.Ensure, time.Minute)
	set(&d.After, time.Minute)
	set(&d.Retire, time.Minute)
	set(&d.Paths, 30*time.Second)
	return d
}

const deadlineSlack = 100 * time.Millisecond

// ErrTimeout is wrapped by the error of a call that the adapter did not answer
// before its deadline.
var ErrTimeout = errors.New("the adapter did not answer in time")

// ErrExited is wrapped by the error of a call whose adapter is gone.
var ErrExited = errors.New("the adapter has ended")

// Client speaks version 1 of the protocol. It sets a deadline on every call,
// never repeats one, and gives errors as *sdk.Error without known secrets; the
// caller's own cancellation stays context.Canceled or context.DeadlineExceeded.
type Client struct {
	adapter    adapterv1.AdapterServiceClient
	upstream   adapterv1.UpstreamServiceClient
	downstream adapterv1.DownstreamServiceClient
	deadlines  Deadlines
	redact     *Redactor
}

// NewClient makes a client of a connection that somebody else looks after.
func NewClient(conn grpc.ClientConnInterface, deadlines Deadlines) *Client {
	return newClient(conn, deadlines, &Redactor{})
}

// NewRawClient is NewClient for tests that look whether an adapter tells its
// secrets: it replaces none of them.
func NewRawClient(conn grpc.ClientConnInterface, deadlines Deadlines) *Client {
	return newClient(conn, deadlines, NoRedactor())
}

func newClient(conn grpc.ClientConnInterface, deadlines Deadlines, redact *Redactor) *Client {
	return &Client{
		adapter:    adapterv1.NewAdapterServiceClient(conn),
		upstream:   adapterv1.NewUpstreamServiceClient(conn),
		downstream: adapterv1.NewDownstreamServiceClient(conn),
		deadlines:  deadlines.orDefault(),
		redact:     redact,
	}
}

// call makes one call under a deadline of its own.
func call[Req, Resp any](ctx context.Context, c *Client, limit time.Duration,
	rpc func(context.Context, Req, ...grpc.CallOption) (Resp, error), req Req,
) (Resp, error) {
	inner, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	resp, err := rpc(inner, req)
	if err != nil {
		var zero Resp
		return zero, c.fault(ctx, inner, err)
	}
	return resp, nil
}

// fault makes an *sdk.Error of what gRPC says. outer is the caller's context,
// inner the one of the call.
func (c *Client) fault(outer, inner context.Context, err error) error {
	if outer.Err() != nil {
		return outer.Err()
	}
	st, _ := status.FromError(err)
	// The adapter's side may see a deadline pass a moment before ours does, and
	// then says so or resets the stream.
	late := st.Code() == codes.DeadlineExceeded || st.Code() == codes.Canceled
	if at, ok := outer.Deadline(); ok && late && time.Until(at) < deadlineSlack {
		return context.DeadlineExceeded
	}
	fact := text.Clean(c.redact.Redact(st.Message()), wire.MaxFact)
	for _, d := range st.Details() {
		if detail, ok := d.(*adapterv1.ErrorDetail); ok {
			return c.told(detail, fact)
		}
	}
	if ended(inner) || st.Code() == codes.DeadlineExceeded {
		return &sdk.Error{Kind: sdk.Unavailable, Fact: ErrTimeout.Error(), Err: ErrTimeout}
	}
	switch st.Code() {
	case codes.Unavailable, codes.Canceled:
		return &sdk.Error{Kind: sdk.Unavailable, Fact: "the connection to the adapter broke: " + fact, Err: ErrExited}
	case codes.ResourceExhausted:
		return sdk.Errorf(sdk.Internal, "an answer is larger than %d bytes: %s", wire.MaxMessage, fact)
	}
	for _, k := range wire.Kinds() {
		if k.Code == st.Code() {
			return &sdk.Error{Kind: sdk.Kind(k.Name), Fact: fact}
		}
	}
	return &sdk.Error{Kind: sdk.Internal, Fact: fact}
}

// ended reports whether a call's own deadline has passed, or is so near that
// the adapter's side may have seen it pass.
func ended(inner context.Context) bool {
	at, ok := inner.Deadline()
	return inner.Err() != nil || ok && time.Until(at) < deadlineSlack
}

// told takes over what the adapter says about its error. A pause that is
// longer than a day would never end for whoever reads the page.
func (c *Client) told(detail *adapterv1.ErrorDetail, fact string) error {
	e := &sdk.Error{
		Kind:    sdk.Internal,
		Fact:    fact,
		Subject: text.Clean(c.redact.Redact(detail.GetSubject()), wire.MaxPath),
		Hint:    text.Clean(c.redact.Redact(detail.GetHint()), wire.MaxFact),
	}
	if e.Fact == "" {
		e.Fact = "the adapter gives no reason"
	}
	for _, k := range wire.Kinds() {
		if k.Kind == detail.GetKind() {
			e.Kind = sdk.Kind(k.Name)
		}
	}
	if d := detail.GetRetryAfter(); d.IsValid() {
		e.RetryAfter = min(max(d.AsDuration(), 0), 24*time.Hour)
	}
	return e
}

// Description is what an adapter says that it is.
type Description struct {
	Name, Version, Summary, SDKVersion string
	Roles                              []sdk.Role
	// Check, AfterPush, Retire and CheckPaths say which optional calls do something.
	Check, AfterPush, Retire, CheckPaths bool
	Settings                             []Setting
	MaxConcurrency                       int // 0: not told
}

// Has reports whether the adapter can be used in a role.
func (d Description) Has(role sdk.Role) bool { return slices.Contains(d.Roles, role) }

// Setting describes one setting.
type Setting struct {
	Name, Doc, Default string
	// Type is string, bool, int, duration, url, list or secret.
	Type     string
	Required bool
	OneOf    []string
	Roles    []sdk.Role // none: all
}

// Describe asks what the adapter is.
func (c *Client) Describe(ctx context.Context) (Description, error) {
	resp, err := call(ctx, c, c.deadlines.Describe, c.adapter.Describe, &adapterv1.DescribeRequest{})
	if err != nil {
		return Description{}, err
	}
	return c.describe(resp)
}

// Settings is what an adapter is configured with.
type Settings struct {
	Instance            string
	Role                sdk.Role
	Values              map[string]any // of JSON's types
	Secrets             map[string]sdk.Secret
	SkipCertificates    bool
	InsecureCredentials bool
}

// Configure hands over settings and secrets. Diagnostics tell what is wrong
// with them; with an error among them the adapter is not configured.
func (c *Client) Configure(ctx context.Context, s Settings) ([]sdk.Diagnostic, error) {
	return c.configure(ctx, s, false, c.deadlines.Configure)
}

// Validate asks whether settings are good, without configuring the adapter.
func (c *Client) Validate(ctx context.Context, s Settings) ([]sdk.Diagnostic, error) {
	return c.configure(ctx, s, true, c.deadlines.Validate)
}

func (c *Client) configure(ctx context.Context, s Settings, validateOnly bool, limit time.Duration) ([]sdk.Diagnostic, error) {
	req, err := settingsToProto(s)
	if err != nil {
		return nil, err
	}
	req.ValidateOnly = validateOnly
	for _, secret := range s.Secrets {
		c.redact.Add(secret.Reveal())
	}
	resp, err := call(ctx, c, limit, c.adapter.Configure, req)
	if err != nil {
		return nil, err
	}
	return c.diagnostics(resp.GetDiagnostics()), nil
}

// Check asks whether the host answers and the credentials are good.
func (c *Client) Check(ctx context.Context) (sdk.Report, error) {
	resp, err := call(ctx, c, c.deadlines.Check, c.adapter.Check, &adapterv1.CheckRequest{})
	if err != nil {
		return sdk.Report{}, err
	}
	report := sdk.Report{
		ServerVersion: text.Clean(c.redact.Redact(resp.GetServerVersion()), wire.MaxHint),
		Diagnostics:   c.diagnostics(resp.GetDiagnostics()),
	}
	if resp.GetExpiresAt().IsValid() {
		report.ExpiresAt = resp.GetExpiresAt().AsTime()
	}
	return report, nil
}

// Close tells the adapter to release what it holds; no call may follow.
func (c *Client) Close(ctx context.Context) error {
	_, err := call(ctx, c, c.deadlines.Close, c.adapter.Close, &adapterv1.CloseRequest{})
	return err
}

// Repo asks for one repository.
func (c *Client) Repo(ctx context.Context, path string) (sdk.Repo, sdk.Access, error) {
	resp, err := call(ctx, c, c.deadlines.Repo, c.upstream.GetRepo, &adapterv1.GetRepoRequest{Path: path})
	if err != nil {
		return sdk.Repo{}, sdk.Access{}, err
	}
	repo, err := c.repo(resp.GetRepo())
	if err != nil {
		return sdk.Repo{}, sdk.Access{}, err
	}
	access, err := c.access(resp.GetAccess())
	return repo, access, err
}

// Ensure gets a repository ready to be pushed to.
func (c *Client) Ensure(ctx context.Context, want sdk.Want) (sdk.Have, error) {
	resp, err := call(ctx, c, c.deadlines.Ensure, c.downstream.EnsureRepo, &adapterv1.EnsureRepoRequest{Wish: wantToProto(want)})
	if err != nil {
		return sdk.Have{}, err
	}
	access, err := c.access(resp.GetAccess())
	if err != nil {
		return sdk.Have{}, err
	}
	have := sdk.Have{
		Access:         access,
		Created:        resp.GetCreated(),
		ReadOnlyReason: text.Clean(c.redact.Redact(resp.GetReadOnlyReason()), wire.MaxFact),
	}
	for _, name := range resp.GetUnsupported()[:min(len(resp.GetUnsupported()), wire.MaxNames)] {
		have.Unsupported = append(have.Unsupported, text.Clean(c.redact.Redact(name), wire.MaxHint))
	}
	if err := c.checkOptions(resp.GetPushOptions()); err != nil {
		return sdk.Have{}, err
	}
	have.PushOptions = slices.Clone(resp.GetPushOptions())
	return have, nil
}

// AfterPush tells that branches have arrived.
func (c *Client) AfterPush(ctx context.Context, want sdk.Want) error {
	_, err := call(ctx, c, c.deadlines.After, c.downstream.AfterPush, &adapterv1.AfterPushRequest{Wish: wantToProto(want)})
	return err
}

// Retire archives a repository.
func (c *Client) Retire(ctx context.Context, path string) error {
	_, err := call(ctx, c, c.deadlines.Retire, c.downstream.RetireRepo, &adapterv1.RetireRepoRequest{Path: path})
	return err
}
