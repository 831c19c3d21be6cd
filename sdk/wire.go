package sdk

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	adapterv1 "github.com/lorry-controller/lorry-controller/sdk/internal/gen/lorry/adapter/v1"
	"github.com/lorry-controller/lorry-controller/sdk/internal/text"
	"github.com/lorry-controller/lorry-controller/sdk/internal/wire"
)

func roleToProto(r Role) adapterv1.Role {
	switch r {
	case RoleUpstream:
		return adapterv1.Role_ROLE_UPSTREAM
	case RoleDownstream:
		return adapterv1.Role_ROLE_DOWNSTREAM
	default:
		return adapterv1.Role_ROLE_UNSPECIFIED
	}
}

func roleFromProto(r adapterv1.Role) Role {
	switch r {
	case adapterv1.Role_ROLE_UPSTREAM:
		return RoleUpstream
	case adapterv1.Role_ROLE_DOWNSTREAM:
		return RoleDownstream
	default:
		return RoleUnknown
	}
}

func visibilityToProto(v Visibility) adapterv1.Visibility {
	switch v {
	case VisibilityPrivate:
		return adapterv1.Visibility_VISIBILITY_PRIVATE
	case VisibilityInternal:
		return adapterv1.Visibility_VISIBILITY_INTERNAL
	case VisibilityPublic:
		return adapterv1.Visibility_VISIBILITY_PUBLIC
	default:
		return adapterv1.Visibility_VISIBILITY_UNSPECIFIED
	}
}

func visibilityFromProto(v adapterv1.Visibility) Visibility {
	switch v {
	case adapterv1.Visibility_VISIBILITY_PRIVATE:
		return VisibilityPrivate
	case adapterv1.Visibility_VISIBILITY_INTERNAL:
		return VisibilityInternal
	case adapterv1.Visibility_VISIBILITY_PUBLIC:
		return VisibilityPublic
	default:
		return VisibilityUnknown
	}
}

// machine refuses a text for machines that protobuf or the core would refuse,
// with an error that names it; otherwise the kind of the error would be lost.
func machine(what string, values ...string) error {
	for _, v := range values {
		if !text.Plain(v) {
			return Errorf(Internal, "the %s %q has bytes that are not plain UTF-8 text", what, v)
		}
	}
	return nil
}

func repoToProto(r Repo) (*adapterv1.Repo, error) {
	if err := machine("repository", r.Path, r.ID, r.CloneURL, r.Head, r.ChangeHint); err != nil {
		return nil, err
	}
	return &adapterv1.Repo{
		Id:          r.ID,
		Path:        r.Path,
		CloneUrl:    r.CloneURL,
		Head:        r.Head,
		Description: text.Clean(r.Description, wire.MaxText),
		Visibility:  visibilityToProto(r.Visibility),
		Archived:    r.Archived,
		Empty:       r.Empty,
		Fork:        r.Fork,
		Disabled:    r.Disabled,
		ChangeHint:  r.ChangeHint,
	}, nil
}

func accessToProto(a Access) (*adapterv1.GitAccess, error) {
	if err := machine("access", a.URL, a.Username); err != nil {
		return nil, err
	}
	p := &adapterv1.GitAccess{Url: a.URL, Username: a.Username, KnownHosts: a.KnownHosts}
	if !a.Secret.Empty() {
		p.Secret = []byte(a.Secret.Reveal())
	}
	if !a.ExpiresAt.IsZero() {
		p.ExpiresAt = timestamppb.New(a.ExpiresAt)
	}
	return p, nil
}

func wantFromProto(p *adapterv1.RepoWish) Want {
	return Want{
		Path:        p.GetPath(),
		Visibility:  visibilityFromProto(p.GetVisibility()),
		Head:        p.GetHead(),
		Description: p.GetDescription(),
		LFS:         p.GetLfs(),
		Revive:      p.GetRevive(),
	}
}

func haveToProto(h Have) (*adapterv1.EnsureRepoResponse, error) {
	access, err := accessToProto(h.Access)
	if err != nil {
		return nil, err
	}
	p := &adapterv1.EnsureRepoResponse{
		Access:         access,
		Created:        h.Created,
		ReadOnlyReason: text.Clean(h.ReadOnlyReason, wire.MaxFact),
	}
	for _, name := range h.Unsupported {
		p.Unsupported = append(p.Unsupported, text.Clean(name, wire.MaxHint))
	}
	if err := machine("push option", h.PushOptions...); err != nil {
		return nil, err
	}
	p.PushOptions = h.PushOptions
	return p, nil
}

func reportToProto(r Report) *adapterv1.CheckResponse {
	p := &adapterv1.CheckResponse{
		Diagnostics:   diagnosticsToProto(r.Diagnostics),
		ServerVersion: text.Clean(r.ServerVersion, wire.MaxHint),
	}
	if !r.ExpiresAt.IsZero() {
		p.ExpiresAt = timestamppb.New(r.ExpiresAt)
	}
	return p
}

func diagnosticsToProto(diags []Diagnostic) []*adapterv1.Diagnostic {
	var list []*adapterv1.Diagnostic
	for _, d := range diags {
		severity := adapterv1.Severity_SEVERITY_ERROR
		if d.Severity == SeverityWarning {
			severity = adapterv1.Severity_SEVERITY_WARNING
		}
		list = append(list, &adapterv1.Diagnostic{
			Severity: severity,
			Path:     text.Clean(d.Path, wire.MaxPath),
			Summary:  text.Clean(d.Summary, wire.MaxFact),
			Detail:   text.Clean(d.Detail, wire.MaxFact),
		})
	}
	return list
}

// statusOf makes the gRPC status of an error: kind and fact survive the wire
// whatever bytes the text has.
func statusOf(err error) error {
	if err == nil {
		return nil
	}
	e := asError(err)
	fact := text.Clean(err.Error(), wire.MaxFact)
	var known *Error
	if !errors.As(err, &known) {
		switch {
		case errors.Is(err, context.Canceled):
			return status.Error(codes.Canceled, fact)
		case errors.Is(err, context.DeadlineExceeded):
			return status.Error(codes.DeadlineExceeded, fact)
		}
	}
	row := wire.Kind{Kind: adapterv1.ErrorKind_ERROR_KIND_INTERNAL, Code: codes.Internal}
	for _, k := range wire.Kinds() {
		if k.Name == string(e.Kind) {
			row = k
		}
	}
	detail := &adapterv1.ErrorDetail{
		Kind:    row.Kind,
		Subject: text.Clean(e.Subject, wire.MaxPath),
		Hint:    text.Clean(e.Hint, wire.MaxFact),
	}
	if e.RetryAfter > 0 {
		detail.RetryAfter = durationpb.New(e.RetryAfter.Round(time.Millisecond))
	}
	st, detailErr := status.New(row.Code, fact).WithDetails(detail)
	if detailErr != nil {
		return status.Error(row.Code, fact)
	}
	return st.Err()
}
