package statedbtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/notify"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

func noticeTests() []test {
	return []test{
		{"an outage of 1000 Lorries is three messages", outage},
		{"what was told survives a restart, and nothing is told twice", toldOnce},
		{"what came and went unheard is not told", unheard},
		{"each lane is told at its own pace", lanes},
		{"a target that is away keeps nobody waiting", targetAway},
		{"mirrors that are out of date are told", staleMirrors},
		{"figures of all mirrors", figures},
		{"messages are given up at last, and those to nobody dropped", givenUp},
	}
}

// letterbox is a target that keeps what it gets, or refuses it.
type letterbox struct {
	name   string
	broken bool
	got    []notify.Message
}

func (l *letterbox) Name() string { return l.name }

func (l *letterbox) Send(_ context.Context, m notify.Message) error {
	if l.broken {
		return errors.New("nobody is at home")
	}
	l.got = append(l.got, m)
	return nil
}

func (l *letterbox) subjects() []string {
	all := []string{}
	for _, m := range l.got {
		all = append(all, m.Subject)
	}
	return all
}

// notifier is a notifier of the world's STATEDB, as one core has it.
func (w *World) notifier(current *[]notify.Notice, targets ...notify.Target) *notify.Notifier {
	w.Helper()
	n := 0
	run, err := notify.New(notify.Options{
		Store: w.DB, Clock: w.Clock.Now,
		Settings: notify.Settings{Targets: targets, Delay: time.Minute, Digest: time.Hour, StaleAfter: 24 * time.Hour},
		NewID:    func() string { n++; return fmt.Sprintf("%d-%d", w.Clock.Now().UnixNano(), n) }, Log: hclog.NewNullLogger(),
		Current: func(context.Context) ([]notify.Notice, error) {
			if current == nil {
				return nil, nil
			}
			return *current, nil
		},
	})
	w.ok(err)
	return run
}

// rounds lets a notifier look and deliver again and again for some time.
func (w *World) rounds(n *notify.Notifier, total, step time.Duration) {
	w.Helper()
	for end := w.Clock.Now().Add(total); w.Clock.Now().Before(end); w.Clock.Advance(step) {
		w.ok(n.Look(w.Ctx))
		for _, t := range n.Targets() {
			w.ok(n.Deliver(w.Ctx, t))
		}
	}
}

// end ends the jobs of Lorries: with a failure, or well when the kind is "".
func (w *World) endAll(claimed []queue.Claimed, kind core.FailureKind) {
	w.Helper()
	var all []queue.UpdateParams
	for _, c := range claimed {
		p := queue.UpdateParams{Job: c.Job.ID, Fence: c.Job.Fence, Done: true, Exit: "0", Digest: "d"}
		if kind != "" {
			p.Exit, p.Failure = "1", core.Failure{Kind: kind, Cause: "connection refused"}
		}
		all = append(all, p)
	}
	for part := range slices.Chunk(all, 200) {
		_, err := w.Queue.Update(w.Ctx, part)
		w.ok(err)
	}
}

func outage(w *World) {
	var lorries []core.Lorry
	for i := range 1000 {
		lorries = append(lorries, NewLorry(fmt.Sprintf("m/%04d", i)))
	}
	w.ok(w.DB.PutLorries(w.Ctx, lorries))
	box := &letterbox{name: "box"}
	n := w.notifier(nil, box)
	// They fail one after the other, over three hours.
	for range 36 {
		w.endAll(w.claim(28), core.FailNetwork)
		w.rounds(n, 5*time.Minute, time.Minute)
	}
	for range 100 { // it is over, and they follow one after the other
		w.Clock.Advance(3 * Hour)
		w.endAll(w.claim(1000), "")
		w.rounds(n, 2*time.Minute, time.Minute)
		if c, err := w.Queue.Status(w.Ctx); err == nil && c.Counts.Failing == 0 {
			break
		}
	}
	w.rounds(n, 3*Hour, 10*time.Minute)
	if len(box.got) > 3 || len(box.got) == 0 {
		w.Errorf("%d messages: %q", len(box.got), box.subjects())
	}
	last := box.subjects()[len(box.got)-1]
	if !strings.Contains(last, "work again at up.example.org") {
		w.Errorf("the last message is %q", last)
	}
	first := box.got[0].Text()
	for _, want := range []string{"fail at up.example.org: network", "m/0000: connection refused", "and 18 more"} {
		if !strings.Contains(first, want) {
			w.Errorf("the first message lacks %q:\n%s", want, first)
		}
	}
}

func toldOnce(w *World) {
	w.put("a", "b")
	box := &letterbox{name: "box", broken: true}
	w.endAll(w.claim(1), core.FailAuth)
	w.rounds(w.notifier(nil, box), 3*time.Minute, 30*time.Second) // composed, not delivered
	box.broken = false
	w.rounds(w.notifier(nil, box), 2*Hour, 10*time.Minute) // another process
	same(w, "told once", []string{"1 Lorry fails at up.example.org: auth"}, box.subjects())
	w.endAll(w.claim(1), core.FailAuth)
	w.rounds(w.notifier(nil, box), 2*Hour, 10*time.Minute)
	same(w, "the next", []string{"2 Lorries fail at up.example.org: auth"}, box.subjects()[1:])
	w.Clock.Advance(9 * Hour)
	w.endAll(w.claim(2), "")
	w.rounds(w.notifier(nil, box), 2*Hour, 10*time.Minute)
	same(w, "over", []string{"2 Lorries work again at up.example.org"}, box.subjects()[2:])
}

func unheard(w *World) {
	w.put("a", "gone")
	box := &letterbox{name: "box"}
	n := w.notifier(nil, box)
	w.endAll(w.claim(2), core.FailNetwork)
	w.rounds(n, 30*time.Second, 10*time.Second)
	w.ok(w.Queue.Retry(w.Ctx, "a"))
	w.endAll(w.claim(1), "")
	w.ok(w.DB.RemoveLorries(w.Ctx, []string{"gone"}))
	w.rounds(n, 2*Hour, 10*time.Minute)
	same(w, "told", []string{}, box.subjects())
	groups, _, err := w.DB.NoticeGroups(w.Ctx)
	w.ok(err)
	same(w, "left", 0, len(groups))
}

func lanes(w *World) {
	w.put("a")
	box := &letterbox{name: "box"}
	var current []notify.Notice
	n := w.notifier(&current, box)
	w.endAll(w.claim(1), core.FailNetwork)
	w.rounds(n, 2*time.Minute, 30*time.Second)
	current = []notify.Notice{
		{Lane: notify.Approvals, Subject: "a refs/heads/main", Cause: "rewritten refs", Since: w.Clock.Now()},
		{Lane: notify.Adapters, Subject: "forge", Host: "forge", Detail: "it crashed", Since: w.Clock.Now()},
	}
	w.rounds(n, 2*time.Minute, 30*time.Second)
	same(w, "told", []string{
		"1 Lorry fails at up.example.org: network", "1 change waits for an approval: rewritten refs", "1 adapter is broken at forge",
	}, box.subjects())
	current = nil
	w.rounds(n, 2*Hour, 10*time.Minute)
	same(w, "over", []string{"1 change waits no longer", "1 adapter works again at forge"}, box.subjects()[3:])
}

func targetAway(w *World) {
	w.put("a")
	dead, box := &letterbox{name: "dead", broken: true}, &letterbox{name: "box"}
	n := w.notifier(nil, dead, box)
	w.endAll(w.claim(1), core.FailNetwork)
	w.rounds(n, 5*time.Minute, 10*time.Second)
	same(w, "others", 1, len(box.got))
	waiting, err := w.DB.Outbox(w.Ctx, "dead", 10)
	w.ok(err)
	if len(waiting) != 1 || waiting[0].Attempts > 5 || waiting[0].Error != "nobody is at home" {
		w.Errorf("want one message that backs off, got %+v", waiting)
	}
	dead.broken = false
	w.rounds(n, Hour, 5*time.Minute)
	same(w, "in the end", 1, len(dead.got))
}

func staleMirrors(w *World) {
	w.put("a", "b")
	w.endAll(w.claim(2), "")
	box := &letterbox{name: "box"}
	n := w.notifier(nil, box)
	w.ok(w.Queue.HoldLorry(w.Ctx, "b", "maintenance"))
	w.rounds(n, 23*Hour, Hour)
	same(w, "not yet", []string{}, box.subjects())
	w.rounds(n, 2*Hour, 10*time.Minute)
	same(w, "told", []string{"1 mirror is out of date at up.example.org"}, box.subjects())
	w.endAll(w.claim(1), "")
	w.rounds(n, 2*Hour, 10*time.Minute)
	same(w, "over", []string{"1 mirror is up to date again at up.example.org"}, box.subjects()[1:])
}

func givenUp(w *World) {
	w.put("a")
	dead, gone := &letterbox{name: "dead", broken: true}, &letterbox{name: "gone", broken: true}
	n := w.notifier(nil, dead, gone)
	w.endAll(w.claim(1), core.FailNetwork)
	w.rounds(n, 3*time.Minute, time.Minute)
	later := w.notifier(nil, dead)
	w.ok(later.Forget(w.Ctx))
	names, err := w.DB.MessageTargets(w.Ctx)
	w.ok(err)
	same(w, "targets", []string{"dead"}, names)
	w.rounds(later, 80*Hour, 30*time.Minute)
	names, err = w.DB.MessageTargets(w.Ctx)
	w.ok(err)
	same(w, "given up", 0, len(names))
}
