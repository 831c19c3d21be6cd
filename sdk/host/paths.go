package host

import (
	"context"
	"slices"

	"github.com/lorry-controller/lorry-controller/sdk"
	adapterv1 "github.com/lorry-controller/lorry-controller/sdk/internal/gen/lorry/adapter/v1"
	"github.com/lorry-controller/lorry-controller/sdk/internal/text"
	"github.com/lorry-controller/lorry-controller/sdk/internal/wire"
)

// PathVerdict is what a Downstream Host makes of one path.
type PathVerdict struct {
	Path string
	// Normal is the path that the host really uses, or "" with a problem.
	Normal string
	// Problem says why the host can't have such a path, or is "".
	Problem, Hint string
}

// CheckPaths asks what the host makes of paths: a verdict for each, in their
// order. Any number may be asked for; a call is made for every thousand.
func (c *Client) CheckPaths(ctx context.Context, paths []string) ([]PathVerdict, error) {
	verdicts := make([]PathVerdict, 0, len(paths))
	for page := range slices.Chunk(paths, wire.PagePaths) {
		resp, err := call(ctx, c, c.deadlines.Paths, c.downstream.CheckPaths, &adapterv1.CheckPathsRequest{Paths: page})
		if err != nil {
			return nil, err
		}
		if len(resp.GetVerdicts()) != len(page) {
			return nil, sdk.Errorf(sdk.Internal, "asked about %d paths, got %d verdicts", len(page), len(resp.GetVerdicts()))
		}
		for i, p := range resp.GetVerdicts() {
			v, err := c.verdict(page[i], p)
			if err != nil {
				return nil, err
			}
			verdicts = append(verdicts, v)
		}
	}
	return verdicts, nil
}

// verdict takes over what was said about one path.
func (c *Client) verdict(path string, p *adapterv1.PathVerdict) (PathVerdict, error) {
	v := PathVerdict{
		Path:    path,
		Normal:  p.GetNormal(),
		Problem: text.Clean(c.redact.Redact(p.GetProblem()), wire.MaxFact),
		Hint:    text.Clean(c.redact.Redact(p.GetHint()), wire.MaxFact),
	}
	switch {
	case p.GetPath() != path:
		return v, sdk.Errorf(sdk.Internal, "asked about the path %q, got a verdict on %q", path, text.Clean(c.redact.Redact(p.GetPath()), wire.MaxHint))
	case v.Problem != "":
		v.Normal = ""
	case v.Normal == "" || len(v.Normal) > wire.MaxPath || !text.Plain(v.Normal):
		return v, sdk.Errorf(sdk.Internal, "the path %q would be used as %q, which is none", path, text.Clean(c.redact.Redact(v.Normal), wire.MaxHint))
	}
	return v, nil
}

// checkOptions refuses push options that git could not be given as they are.
func (c *Client) checkOptions(options []string) error {
	if len(options) > wire.MaxOptions {
		return sdk.Errorf(sdk.Internal, "the answer has %d push options, more than %d", len(options), wire.MaxOptions)
	}
	for _, o := range options {
		if o == "" || len(o) > wire.MaxHint || !text.Plain(o) || c.redact.Found(o) {
			return sdk.Errorf(sdk.Internal, "the push option %q is empty, too long or not plain text, or has a secret", text.Clean(c.redact.Redact(o), wire.MaxHint))
		}
	}
	return nil
}
