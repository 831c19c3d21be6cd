package host

import (
	"context"
	"errors"
	"io"
	"iter"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/lorry-controller/lorry-controller/sdk"
	adapterv1 "github.com/lorry-controller/lorry-controller/sdk/internal/gen/lorry/adapter/v1"
	"github.com/lorry-controller/lorry-controller/sdk/internal/text"
	"github.com/lorry-controller/lorry-controller/sdk/internal/wire"
)

// maxRepos is where a listing is taken for an endless one.
const maxRepos = 2_000_000

// Repos lists the host's repositories. It holds one page at a time. The listing
// is complete if and only if the sequence ends without an error; leaving the
// loop early ends the adapter's loop.
func (c *Client) Repos(ctx context.Context) iter.Seq2[sdk.Repo, error] {
	return func(yield func(sdk.Repo, error) bool) {
		if err := c.list(ctx, func(r sdk.Repo) bool { return yield(r, nil) }); err != nil {
			yield(sdk.Repo{}, err)
		}
	}
}

var errLeft = errors.New("the caller has seen enough")

// list runs one listing. It gives nil when the caller left.
func (c *Client) list(ctx context.Context, take func(sdk.Repo) bool) error {
	inner, cancel := context.WithTimeout(ctx, c.deadlines.Listing)
	defer cancel()
	var silent atomic.Bool
	watchdog := time.AfterFunc(c.deadlines.Page, func() {
		silent.Store(true)
		cancel()
	})
	defer watchdog.Stop()
	fault := func(err error) error {
		if silent.Load() && ctx.Err() == nil {
			return &sdk.Error{Kind: sdk.Unavailable, Fact: "the listing stood still for " + c.deadlines.Page.String(), Err: ErrTimeout}
		}
		return c.fault(ctx, inner, err)
	}
	stream, err := c.upstream.ListRepos(inner, &adapterv1.ListReposRequest{})
	if err != nil {
		return fault(err)
	}
	l := listing{client: c, take: func(r sdk.Repo) bool {
		// The time that the caller takes is not the adapter's.
		watchdog.Stop()
		return take(r)
	}}
	for {
		watchdog.Reset(c.deadlines.Page)
		msg, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return sdk.Errorf(sdk.Internal, "the listing ended after %d repositories without a summary", l.count)
		case err != nil:
			return fault(err)
		}
		switch done, err := l.message(msg); {
		case errors.Is(err, errLeft):
			return nil
		case err != nil:
			return err
		case done:
			watchdog.Reset(c.deadlines.Page)
			return endOf(stream, fault)
		}
	}
}

// listing is the state of one listing.
type listing struct {
	client *Client
	take   func(sdk.Repo) bool
	count  int64
}

// message handles one message and reports whether it was the summary of a
// complete listing.
func (l *listing) message(msg *adapterv1.ListReposResponse) (done bool, err error) {
	if summary := msg.GetSummary(); summary != nil {
		switch {
		case !summary.GetComplete():
			return false, sdk.Errorf(sdk.Unavailable, "the listing is not complete: %s",
				text.Clean(l.client.redact.Redact(summary.GetReason()), wire.MaxFact))
		case summary.GetCount() != l.count:
			return false, sdk.Errorf(sdk.Internal, "the listing's summary counts %d repositories, but %d were sent", summary.GetCount(), l.count)
		}
		return true, nil
	}
	repos := msg.GetPage().GetRepos()
	l.count += int64(len(repos))
	switch {
	case len(repos) == 0:
		return false, sdk.Errorf(sdk.Internal, "the listing has an empty page")
	case len(repos) > wire.PageRepos:
		return false, sdk.Errorf(sdk.Internal, "a page of the listing has %d repositories, more than %d", len(repos), wire.PageRepos)
	case l.count > maxRepos:
		return false, sdk.Errorf(sdk.Internal, "the listing has more than %d repositories", maxRepos)
	}
	for _, p := range repos {
		repo, err := l.client.repo(p)
		if err != nil {
			return false, err
		}
		if !l.take(repo) {
			return false, errLeft
		}
	}
	return false, nil
}

// endOf makes sure that the summary was the last message.
func endOf(stream grpc.ServerStreamingClient[adapterv1.ListReposResponse], fault func(error) error) error {
	switch _, err := stream.Recv(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return fault(err)
	default:
		return sdk.Errorf(sdk.Internal, "the listing goes on after its summary")
	}
}
