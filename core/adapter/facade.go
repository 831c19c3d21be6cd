package adapter

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/host"
)

// upstream is a core.Upstream that asks an adapter and checks its answers.
type upstream struct{ s *supervisor }

// downstream is a core.Downstream that asks an adapter and checks its answers.
type downstream struct{ s *supervisor }

var (
	_ core.Upstream   = (*upstream)(nil)
	_ core.Downstream = (*downstream)(nil)
)

// with runs one call in a session, in its turn, and makes a core.Error of what
// goes wrong.
func (s *supervisor) with(ctx context.Context, rpc RPC, call func(*session) error) (err error) {
	var began time.Time
	asked := true
	defer func() {
		if asked {
			s.observe(rpc, err, began)
		}
	}()
	cur, err := s.acquire(ctx)
	if err != nil {
		return err
	}
	defer func() { cur.release(s.opts.Clock()) }()
	slots := cur.slots
	if rpc == RPCList {
		slots = cur.listing
	}
	ok, err := cur.turn(ctx, slots, s.opts.MaxQueue)
	if err != nil {
		return err
	}
	if !ok {
		return core.Errorf(core.KindUnavailable, "too many calls wait for the adapter of %q", s.name)
	}
	defer func() { <-slots }()
	if err := s.refuseHeld(); err != nil { // while it waited for its turn
		return err
	}
	began = s.opts.Clock()
	err = call(cur)
	if asked = !errors.Is(err, errNotAsked); !asked || err == nil {
		return nil
	}
	if errors.Is(err, host.ErrTimeout) {
		cur.doubt()
	}
	err = s.errorOf(err)
	s.note(cur, err)
	return err
}

// errorOf makes a core.Error that names the instance. Cancellation and deadline
// of the caller stay what they are.
func errorOf(inst Instance, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	var known *core.Error
	if errors.As(err, &known) {
		return err
	}
	out := &core.Error{
		Kind: core.Kind(sdk.KindOf(err)),
		Fact: fmt.Sprintf("%s adapter of %q: %v", inst.Type, inst.Name, err),
		Err:  err,
	}
	if errors.Is(err, host.ErrExited) {
		out.Err = errors.Join(ErrProcess, err)
	}
	var e *sdk.Error
	if errors.As(err, &e) {
		out.Hint, out.RetryAfter = e.Hint, e.RetryAfter
		if e.Subject != "" && !strings.Contains(e.Fact, e.Subject) {
			out.Fact += " (" + e.Subject + ")"
		}
	}
	return out
}

func quote(s string) string { return strconv.Quote(s) }

// errLeft ends a listing whose caller has seen enough.
var errLeft = errors.New("the caller has seen enough")

// errNotAsked ends a call that the adapter has no part in.
var errNotAsked = errors.New("the adapter has nothing to do")

// Repos implements core.Upstream.
func (u *upstream) Repos(ctx context.Context) iter.Seq2[core.Repo, error] {
	return func(yield func(core.Repo, error) bool) {
		err := u.s.with(ctx, RPCList, func(cur *session) error {
			seen := newSeen()
			for r, err := range cur.Repos(ctx) {
				if err != nil {
					return err
				}
				repo, err := checkRepo(r)
				if err != nil {
					return err
				}
				if !seen.add(repo.Path) {
					return sdk.Errorf(sdk.Internal, "the repository %q is listed twice", repo.Path)
				}
				if !yield(repo, nil) {
					return errLeft
				}
			}
			return nil
		})
		if err != nil && !errors.Is(err, errLeft) {
			yield(core.Repo{}, err)
		}
	}
}

// Repo implements core.Upstream.
func (u *upstream) Repo(ctx context.Context, path string) (core.Repo, core.Access, error) {
	var repo core.Repo
	var access core.Access
	err := u.s.with(ctx, RPCRepo, func(cur *session) error {
		r, a, err := cur.Repo(ctx, path)
		if err != nil {
			return err
		}
		if repo, err = checkRepo(r); err != nil {
			return err
		}
		if !strings.EqualFold(repo.Path, path) {
			return sdk.Errorf(sdk.Internal, "asked for the repository %q, got %q", path, repo.Path)
		}
		if r.Disabled {
			return nil
		}
		access, err = u.s.checkAccess(a)
		return err
	})
	if err != nil {
		return core.Repo{}, core.Access{}, err
	}
	return repo, access, nil
}

// EnsureRepo implements core.Downstream.
func (d *downstream) EnsureRepo(ctx context.Context, want core.Want) (core.Have, error) {
	var have core.Have
	err := d.s.with(ctx, RPCEnsure, func(cur *session) error {
		h, err := cur.Ensure(ctx, wantOf(want))
		if err != nil {
			return err
		}
		if have.Access, err = d.s.checkAccess(h.Access); err != nil {
			return err
		}
		have.Created, have.ReadOnlyReason, have.Unsupported, have.PushOptions = h.Created, h.ReadOnlyReason, h.Unsupported, h.PushOptions
		return nil
	})
	if err != nil {
		return core.Have{}, err
	}
	return have, nil
}

// AfterPush implements core.Downstream. An adapter that has nothing to do then
// is not asked.
func (d *downstream) AfterPush(ctx context.Context, want core.Want) error {
	return d.s.with(ctx, RPCAfterPush, func(cur *session) error {
		if !cur.desc.AfterPush {
			return errNotAsked
		}
		return cur.AfterPush(ctx, wantOf(want))
	})
}

// Retirer is implemented by the core.Downstream of an adapter's host.
type Retirer interface {
	// RetireRepo archives a repository by the host's own means; it deletes no
	// history, and a missing repository is success. The error is
	// core.KindUnsupported when the adapter can't do it.
	RetireRepo(ctx context.Context, path string) error
}

var _ Retirer = (*downstream)(nil)

// RetireRepo implements Retirer.
func (d *downstream) RetireRepo(ctx context.Context, path string) error {
	return d.s.with(ctx, RPCRetire, func(cur *session) error {
		if !cur.desc.Retire {
			return sdk.Errorf(sdk.Unsupported, "it can't retire repositories")
		}
		return cur.Retire(ctx, path)
	})
}

func wantOf(w core.Want) sdk.Want {
	return sdk.Want{Path: w.Path, Visibility: sdk.Visibility(w.Visibility), Head: w.Head, Description: w.Description, LFS: w.LFS, Revive: w.Revive}
}
