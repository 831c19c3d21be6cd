package sdk

import (
	"context"
	"errors"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"

	adapterv1 "github.com/lorry-controller/lorry-controller/sdk/internal/gen/lorry/adapter/v1"
	"github.com/lorry-controller/lorry-controller/sdk/internal/text"
	"github.com/lorry-controller/lorry-controller/sdk/internal/wire"
)

// session is one life of an adapter, from Configure to Close. The definition
// is shared; everything that changes is here.
type session struct {
	adapterv1.UnimplementedAdapterServiceServer
	adapterv1.UnimplementedUpstreamServiceServer
	adapterv1.UnimplementedDownstreamServiceServer

	plugin *Plugin
	log    hclog.Logger
	debug  bool // the core comes and goes while the process stays

	mu      sync.Mutex
	adapter any // nil until configured and after Close
	env     Env
	closed  bool
}

// register adds a new session to a server. Services that the adapter does not
// have the methods for are not served at all.
func (p *Plugin) register(server *grpc.Server, log hclog.Logger) *session {
	s := &session{plugin: p, log: log}
	adapterv1.RegisterAdapterServiceServer(server, s)
	if slices.Contains(p.roles, RoleUpstream) {
		adapterv1.RegisterUpstreamServiceServer(server, s)
	}
	if slices.Contains(p.roles, RoleDownstream) {
		adapterv1.RegisterDownstreamServiceServer(server, s)
	}
	return s
}

// use gives the configured adapter as a T.
func use[T any](s *session) (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var zero T
	switch t, ok := s.adapter.(T); {
	case s.closed:
		return zero, Errorf(Invalid, "the adapter is closed")
	case s.adapter == nil:
		return zero, Errorf(Invalid, "the adapter is not configured")
	case !ok:
		return zero, Errorf(Unsupported, "the %s adapter can't do this", s.plugin.name)
	default:
		return t, nil
	}
}

// Describe implements the service.
func (s *session) Describe(context.Context, *adapterv1.DescribeRequest) (*adapterv1.DescribeResponse, error) {
	if len(s.plugin.problems) > 0 {
		return nil, Errorf(Internal, "the adapter's definition can't work: %s", s.plugin.problems[0])
	}
	return s.plugin.describe(), nil
}

// Configure implements the service.
func (s *session) Configure(ctx context.Context, req *adapterv1.ConfigureRequest) (*adapterv1.ConfigureResponse, error) {
	role := roleFromProto(req.GetRole())
	if role != RoleUnknown && !slices.Contains(s.plugin.roles, role) {
		return nil, Errorf(Unsupported, "the %s adapter can't be used as %s", s.plugin.name, role)
	}
	settings, diags := s.plugin.decode(req.GetValues().AsMap(), req.GetSecrets(), role)
	resp := &adapterv1.ConfigureResponse{Diagnostics: diagnosticsToProto(diags)}
	if req.GetValidateOnly() || slices.ContainsFunc(diags, isError) {
		return resp, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.debug {
		_ = closeAdapter(s.adapter)
		s.adapter, s.closed = nil, false
	}
	if s.closed || s.adapter != nil {
		return nil, Errorf(Conflict, "the adapter was configured before")
	}
	env := Env{
		Instance:            req.GetInstance(),
		Role:                role,
		Log:                 s.log,
		SkipCertificates:    req.GetSkipCertificates(),
		InsecureCredentials: req.GetInsecureCredentials(),
	}
	env.HTTP = newHTTPClient(s.plugin, env)
	adapter, err := s.plugin.open(ctx, env, settings)
	if err != nil {
		return nil, err
	}
	s.adapter, s.env = adapter, env
	return resp, nil
}

// Check implements the service.
func (s *session) Check(ctx context.Context, _ *adapterv1.CheckRequest) (*adapterv1.CheckResponse, error) {
	c, err := use[Checker](s)
	if err != nil {
		return nil, err
	}
	report, err := c.Check(ctx)
	if err != nil {
		return nil, err
	}
	return reportToProto(report), nil
}

// Close implements the service.
func (s *session) Close(context.Context, *adapterv1.CloseRequest) (*adapterv1.CloseResponse, error) {
	s.mu.Lock()
	adapter, env := s.adapter, s.env
	s.adapter, s.closed = nil, true
	s.mu.Unlock()
	err := closeAdapter(adapter)
	if env.HTTP != nil {
		env.HTTP.CloseIdleConnections()
	}
	return &adapterv1.CloseResponse{}, err
}

// ListRepos implements the service. A page is also sent when some time has
// passed, so that a slow host is not taken for a dead one.
func (s *session) ListRepos(_ *adapterv1.ListReposRequest, stream grpc.ServerStreamingServer[adapterv1.ListReposResponse]) error {
	up, err := use[Upstream](s)
	if err != nil {
		return err
	}
	const patience = 5 * time.Second
	var page []*adapterv1.Repo
	summary := &adapterv1.ListingSummary{Complete: true}
	sent := time.Now()
	flush := func() error {
		if len(page) == 0 {
			return nil
		}
		msg := &adapterv1.ListReposResponse{Event: &adapterv1.ListReposResponse_Page{Page: &adapterv1.RepoPage{Repos: page}}}
		summary.Count += int64(len(page))
		page, sent = nil, time.Now()
		return stream.Send(msg)
	}
	for repo, err := range up.Repos(stream.Context(), Query{}) {
		var reason incomplete
		if errors.As(err, &reason) {
			summary.Complete, summary.Reason = false, text.Clean(reason.reason, wire.MaxFact)
			break
		}
		if err != nil {
			return err
		}
		p, err := repoToProto(repo)
		if err != nil {
			return err
		}
		page = append(page, p)
		if len(page) == wire.PageRepos || time.Since(sent) > patience {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	// An adapter that stops quietly because it was told to is not complete.
	if err := stream.Context().Err(); err != nil {
		return err
	}
	if err := flush(); err != nil {
		return err
	}
	return stream.Send(&adapterv1.ListReposResponse{Event: &adapterv1.ListReposResponse_Summary{Summary: summary}})
}

// GetRepo implements the service.
func (s *session) GetRepo(ctx context.Context, req *adapterv1.GetRepoRequest) (*adapterv1.GetRepoResponse, error) {
	up, err := use[Upstream](s)
	if err != nil {
		return nil, err
	}
	repo, access, err := up.Repo(ctx, req.GetPath())
	if err != nil {
		return nil, err
	}
	resp := &adapterv1.GetRepoResponse{}
	if resp.Repo, err = repoToProto(repo); err != nil {
		return nil, err
	}
	if resp.Access, err = accessToProto(access); err != nil {
		return nil, err
	}
	return resp, nil
}

// EnsureRepo implements the service.
func (s *session) EnsureRepo(ctx context.Context, req *adapterv1.EnsureRepoRequest) (*adapterv1.EnsureRepoResponse, error) {
	down, err := use[Downstream](s)
	if err != nil {
		return nil, err
	}
	have, err := down.Ensure(ctx, wantFromProto(req.GetWish()))
	if err != nil {
		return nil, err
	}
	return haveToProto(have)
}

// AfterPush implements the service.
func (s *session) AfterPush(ctx context.Context, req *adapterv1.AfterPushRequest) (*adapterv1.AfterPushResponse, error) {
	down, err := use[AfterPusher](s)
	if err != nil {
		return nil, err
	}
	return &adapterv1.AfterPushResponse{}, down.AfterPush(ctx, wantFromProto(req.GetWish()))
}

// RetireRepo implements the service.
func (s *session) RetireRepo(ctx context.Context, req *adapterv1.RetireRepoRequest) (*adapterv1.RetireRepoResponse, error) {
	down, err := use[Retirer](s)
	if err != nil {
		return nil, err
	}
	return &adapterv1.RetireRepoResponse{}, down.Retire(ctx, req.GetPath())
}

// interceptors turn a panic into an error, so that one bad repository does not
// end the process, and every error into a status that keeps its kind.
func interceptors(log hclog.Logger) []grpc.ServerOption {
	caught := func(method string, r any) error {
		log.Error("adapter panicked", "method", method, "panic", r, "stack", string(debug.Stack()))
		return Errorf(Internal, "the adapter panicked in %s", method)
	}
	unary := func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
		defer func() {
			if r := recover(); r != nil {
				err = caught(info.FullMethod, r)
			}
			if err != nil {
				resp, err = nil, statusOf(err)
			}
		}()
		return handler(ctx, req)
	}
	stream := func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
		defer func() {
			if r := recover(); r != nil {
				err = caught(info.FullMethod, r)
			}
			err = statusOf(err)
		}()
		return handler(srv, ss)
	}
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(unary), grpc.ChainStreamInterceptor(stream),
		grpc.MaxRecvMsgSize(wire.MaxMessage), grpc.MaxSendMsgSize(wire.MaxMessage),
	}
}
