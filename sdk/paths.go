package sdk

import (
	"context"
	"errors"

	adapterv1 "github.com/lorry-controller/lorry-controller/sdk/internal/gen/lorry/adapter/v1"
	"github.com/lorry-controller/lorry-controller/sdk/internal/text"
	"github.com/lorry-controller/lorry-controller/sdk/internal/wire"
)

// CheckPaths implements the service.
func (s *session) CheckPaths(ctx context.Context, req *adapterv1.CheckPathsRequest) (*adapterv1.CheckPathsResponse, error) {
	checker, err := use[PathChecker](s)
	if err != nil {
		return nil, err
	}
	if len(req.GetPaths()) > wire.PagePaths {
		return nil, Errorf(Invalid, "%d paths are more than %d for one call", len(req.GetPaths()), wire.PagePaths)
	}
	resp := &adapterv1.CheckPathsResponse{}
	for _, path := range req.GetPaths() {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		normal, err := checker.CheckPath(path)
		verdict, err := verdictToProto(path, normal, err)
		if err != nil {
			return nil, err
		}
		resp.Verdicts = append(resp.Verdicts, verdict)
	}
	return resp, nil
}

// verdictToProto makes a verdict of what CheckPath gave. An error of any kind
// but Invalid is no verdict.
func verdictToProto(path, normal string, err error) (*adapterv1.PathVerdict, error) {
	var e *Error
	switch {
	case err == nil:
		return &adapterv1.PathVerdict{Path: path, Normal: normal}, machine("path", normal)
	case errors.As(err, &e) && e.Kind == Invalid:
		return &adapterv1.PathVerdict{
			Path:    path,
			Problem: text.Clean(err.Error(), wire.MaxFact),
			Hint:    text.Clean(e.Hint, wire.MaxFact),
		}, nil
	default:
		return nil, err
	}
}
