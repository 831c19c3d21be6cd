package statedbtest

import (
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/audit"
	"github.com/lorry-controller/lorry-controller/core/token"
)

// accessTests gives what authentication and the audit rely on.
func accessTests() []test {
	return []test{
		{"tokens are kept, found and revoked for good", tokens},
		{"sessions end with their time, their token and by themselves", sessions},
		{"a token has no endless number of sessions", manySessions},
		{"the audit is one chain, whoever writes it", auditChain},
		{"an audit without its oldest rows still verifies", auditTrimmed},
	}
}

// madeToken is a token that has the given id and name.
func madeToken(id, name string) token.Token {
	return token.Token{ID: id, Name: name, Role: token.Viewer, Digest: token.Digest("lorry_" + id), Created: Start}
}

func tokens(w *World) {
	a, b := madeToken("aaaa", "ci"), madeToken("bbbb", "é")
	b.Role, b.Expires = token.Admin, Start.Add(Hour)
	w.ok(w.DB.AddToken(w.Ctx, a))
	w.ok(w.DB.AddToken(w.Ctx, b))
	check := func(want ...token.Token) {
		w.Helper()
		got, err := w.DB.Tokens(w.Ctx)
		w.ok(err)
		same(w, "tokens", want, got)
	}
	check(a, b)
	w.kind(core.KindConflict, w.DB.AddToken(w.Ctx, madeToken("cccc", "ci")))
	w.kind(core.KindConflict, w.DB.AddToken(w.Ctx, madeToken("aaaa", "other")))
	w.ok(w.DB.TokenUsed(w.Ctx, "aaaa", Start.Add(Hour)))
	w.ok(w.DB.TokenUsed(w.Ctx, "aaaa", Start)) // another core's clock
	a.Used = Start.Add(Hour)
	check(a, b)
	w.ok(w.DB.RevokeToken(w.Ctx, "aaaa", Start.Add(2*Hour)))
	a.Revoked = Start.Add(2 * Hour)
	check(a, b)
	for _, id := range []string{"aaaa", "none", "", "\x00", "\xff"} {
		w.kind(core.KindNotFound, w.DB.RevokeToken(w.Ctx, id, Start))
	}
	again := madeToken("cccc", "ci")
	w.ok(w.DB.AddToken(w.Ctx, again))
	check(a, again, b)
}

func sessions(w *World) {
	w.ok(w.DB.AddToken(w.Ctx, madeToken("aaaa", "a")))
	check := func(digest string, at time.Time, want string) {
		w.Helper()
		got, err := w.DB.Session(w.Ctx, digest, at)
		w.ok(err)
		same(w, "session "+digest, want, got)
	}
	for _, digest := range []string{"d1", "d2", "d3"} {
		w.ok(w.DB.AddSession(w.Ctx, digest, "aaaa", Start, Start.Add(Hour)))
	}
	check("d1", Start, "aaaa")
	check("d1", Start.Add(Hour), "")
	check("none", Start, "")
	w.ok(w.DB.EndSession(w.Ctx, "d1"))
	check("d1", Start, "")
	check("d2", Start, "aaaa")
	w.ok(w.DB.RevokeToken(w.Ctx, "aaaa", Start))
	check("d2", Start, "")
	if err := w.DB.AddSession(w.Ctx, "d4", "none", Start, Start.Add(Hour)); err == nil {
		w.Error("a session without a token was begun")
	}
}

func manySessions(w *World) {
	w.ok(w.DB.AddToken(w.Ctx, madeToken("aaaa", "a")))
	w.ok(w.DB.AddToken(w.Ctx, madeToken("bbbb", "b")))
	w.ok(w.DB.AddSession(w.Ctx, "other", "bbbb", Start, Start.Add(Hour)))
	for i := range 110 {
		w.ok(w.DB.AddSession(w.Ctx, fmt.Sprintf("d%03d", i), "aaaa", Start, Start.Add(Hour+time.Duration(i)*time.Second)))
	}
	left := 0
	for i := range 110 {
		id, err := w.DB.Session(w.Ctx, fmt.Sprintf("d%03d", i), Start)
		w.ok(err)
		left += len(id) / 4
	}
	same(w, "sessions", 100, left)
	id, err := w.DB.Session(w.Ctx, "other", Start)
	w.ok(err)
	same(w, "the other token's", "bbbb", id)
}

// verify follows the whole chain in small steps.
func verify(w *World, known ...audit.Mark) error {
	w.Helper()
	ends, err := w.DB.AuditEnds(w.Ctx)
	w.ok(err)
	check := audit.NewCheck(ends, known...)
	for {
		page, err := w.DB.AuditAfter(w.Ctx, check.At().Seq, 7)
		w.ok(err)
		if len(page) == 0 {
			return check.End()
		}
		for _, e := range page {
			if err := check.Add(e); err != nil {
				return err
			}
		}
	}
}

func auditChain(w *World) {
	w.ok(verify(w))
	var writers sync.WaitGroup
	for i := range 8 {
		writers.Go(func() {
			for n := range 10 {
				_, err := w.DB.AppendAudit(w.Ctx, audit.Entry{
					At: w.Clock.Now(), Who: fmt.Sprint("writer ", i), From: "192.0.2.1", Action: "POST /1.0/hold",
					Subject: fmt.Sprintf("path=a/%d", n), Was: "held=", Became: "held=x\x00\n\xff" + strings.Repeat("é", 1000), Result: "ok",
				})
				if err != nil {
					w.Error(err)
				}
			}
		})
	}
	writers.Wait()
	w.ok(verify(w))
	page, err := w.DB.AuditBefore(w.Ctx, 0, 3)
	w.ok(err)
	same(w, "newest", []int64{80, 79, 78}, []int64{page[0].Seq, page[1].Seq, page[2].Seq})
	page, err = w.DB.AuditBefore(w.Ctx, 2, 3)
	w.ok(err)
	same(w, "oldest", 1, len(page))
	same(w, "when", w.Clock.Now().UTC().Truncate(time.Microsecond), page[0].At)
	if got := page[0].Became; strings.ContainsAny(got, "\x00\n") || !utf8.ValidString(got) || len(got) > 700 {
		w.Errorf("an unclean entry was kept: %q", got)
	}
}

func auditTrimmed(w *World) {
	var marks []audit.Mark
	for i := range 20 {
		mark, err := w.DB.AppendAudit(w.Ctx, audit.Entry{At: Start.Add(time.Duration(i) * Hour), Who: "me"})
		w.ok(err)
		marks = append(marks, mark)
	}
	trim := func(before time.Time, want int64) {
		w.Helper()
		got, err := w.DB.TrimAudit(w.Ctx, before, audit.Entry{At: before, Who: "controller", Action: "trim"})
		w.ok(err)
		same(w, "removed", want, got)
		w.ok(verify(w, marks[10]))
	}
	trim(Start, 0)
	trim(Start.Add(5*Hour), 5)
	trim(Start.Add(5*Hour), 0)
	trim(Start.Add(10*Hour), 5) // the row about the first removal stays: it is behind those that stay
	ends, err := w.DB.AuditEnds(w.Ctx)
	w.ok(err)
	same(w, "beginning", marks[9], ends.Removed)
	same(w, "end", int64(22), ends.Last.Seq)
	w.kind(core.KindConflict, verify(w, audit.Mark{Seq: 15, Hash: marks[14].Hash[:63] + "x"}))
	w.kind(core.KindConflict, verify(w, audit.Mark{Seq: 99, Hash: marks[14].Hash}))
	got, err := w.DB.TrimAudit(w.Ctx, Start.Add(1000*Hour), audit.Entry{At: Start, Who: "controller"})
	w.ok(err)
	same(w, "all", int64(12), got)
	w.ok(verify(w))
}
