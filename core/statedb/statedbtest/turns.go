package statedbtest

import (
	"errors"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/reconcile"
)

// listings asks for some of a host that is known.
func listings(w *World, state core.HostState) {
	w.Helper()
	listed := func(o reconcile.HostOutcome, due time.Time, problem string) {
		w.Helper()
		o.Name, o.At, o.Next = state.Name, w.Clock.Now(), w.Clock.Now().Add(Hour)
		w.ok(w.DB.HostListed(w.Ctx, o))
		state.LsDue, state.LsError, state.Purge = due, problem, ""
		if o.Complete {
			state.LsLast, state.Listed = o.At, o.Listed
		}
		got, err := w.DB.Hosts(w.Ctx)
		w.ok(err)
		same(w, "listed", []core.HostState{state}, got)
	}
	now := w.Clock.Now()
	w.ok(w.DB.AskListing(w.Ctx, nil))
	w.ok(w.DB.AskListing(w.Ctx, []string{"none", state.Name}))
	state.Asked++
	listed(reconcile.HostOutcome{Complete: true, Listed: 3}, now, "") // it was asked for meanwhile
	listed(reconcile.HostOutcome{Error: "away"}, now.Add(Hour), "away")
	listed(reconcile.HostOutcome{Complete: true, Listed: 4, Asked: state.Asked}, now.Add(Hour), "")
	w.ok(w.DB.AskListing(w.Ctx, []string{state.Name}))
	state.Asked++
	listed(reconcile.HostOutcome{Error: "no\x00 text\xff", Asked: state.Asked}, now.Add(Hour), "no\uFFFD text\uFFFD")
}

// turns lets two apply what they have read.
func turns(w *World) {
	seen, err := w.DB.Turn(w.Ctx, "t")
	w.ok(err)
	same(w, "before the first", int64(0), seen)
	w.ok(w.DB.SetConfig(reconcile.UnderTurn(w.Ctx, "t", seen), "before the first", nil)) // such as why CONFGIT can't be read
	first, err := w.DB.TakeTurn(w.Ctx, "t", seen)
	w.ok(err)
	_, err = w.DB.TakeTurn(w.Ctx, "t", seen)
	w.kind(core.KindConflict, err)
	same(w, "overtaken", true, errors.Is(err, reconcile.ErrOvertaken))
	_, err = w.DB.TakeTurn(w.Ctx, "other", seen)
	w.ok(err)
	own := reconcile.UnderTurn(w.Ctx, "t", first)
	w.ok(w.DB.SetConfig(own, "first", nil))
	w.put("a")
	_, err = w.DB.TakeTurn(own, "other", -1)
	w.ok(err)

	second, err := w.DB.TakeTurn(w.Ctx, "t", first)
	w.ok(err)
	w.ok(w.DB.PutHosts(w.Ctx, []core.Host{{Name: "h"}}))
	for _, err := range []error{
		w.DB.SetConfig(own, "late", nil),
		w.DB.RemoveLorries(own, []string{"a"}),
		w.DB.PutHosts(own, nil),
		w.DB.HostListed(own, reconcile.HostOutcome{Name: "h", At: Start, Next: Start, Error: "late"}),
		w.DB.SetHeldPurge(own, "h", reconcile.HeldPurge{Digest: "late", Since: Start}),
		w.DB.SetRetire(own, map[string]core.RetirePolicy{"late": core.RetireArchive}),
		w.DB.AskListing(own, []string{"h"}),
	} {
		same(w, "overtaken", true, errors.Is(err, reconcile.ErrOvertaken))
	}
	commit, err := w.DB.ConfigCommit(w.Ctx)
	w.ok(err)
	same(w, "commit", "first", commit)
	same(w, "kept", "a", w.lorry("a").Path)
	hosts, err := w.DB.Hosts(w.Ctx)
	w.ok(err)
	same(w, "hosts", []core.HostState{{Name: "h", LsDue: Start}}, hosts)
	held, err := w.DB.HeldPurge(w.Ctx, "h")
	w.ok(err)
	same(w, "held", reconcile.HeldPurge{}, held)
	w.ok(w.DB.RemoveLorries(reconcile.UnderTurn(w.Ctx, "t", second), []string{"a"}))
	last, err := w.DB.Turn(w.Ctx, "t")
	w.ok(err)
	same(w, "the last", second, last)
}
