package statedbtest

import (
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/retire"
)

func retireTests() []test {
	return []test{
		{"a Lorry that goes leaves a retirement where that is wanted", retireByPolicy},
		{"a Lorry that goes while its job runs is retired when the job ends", retireAfterJob},
		{"a retirement outlives an attempt that never ended", retireAgain},
		{"no repository is retired whose Lorry is back", retireNotBack},
		{"retirements are listed by their state, and page by page", retireListed},
		{"a retirement that an admin cancels is left alone until he hastens it", retireCancelled},
	}
}

// due gives the paths of what is to be archived now.
func (w *World) due() []string {
	w.Helper()
	all, err := w.DB.DueRetirements(w.Ctx, w.Clock.Now(), 100)
	w.ok(err)
	names := []string{}
	for _, r := range all {
		names = append(names, r.Path)
	}
	return names
}

// begin begins an attempt.
func (w *World) begin(path string, d time.Duration) bool {
	w.Helper()
	ok, err := w.DB.BeginRetirement(w.Ctx, path, w.Clock.Now().Add(d))
	w.ok(err)
	return ok
}

func (w *World) retirement(path string) (retire.Retirement, bool) {
	w.Helper()
	r, found, err := w.DB.Retirement(w.Ctx, path)
	w.ok(err)
	return r, found
}

func retireByPolicy(w *World) {
	var all []core.Lorry
	for _, section := range []string{"lorries:leave", "lorries:archive", "lorries:default", "lorries:unknown"} {
		l := NewLorry("in/" + section[len("lorries:"):])
		l.Section = section
		all = append(all, l)
	}
	w.ok(w.DB.PutLorries(w.Ctx, all))
	w.ok(w.DB.SetRetire(w.Ctx, map[string]core.RetirePolicy{
		"lorries:leave": core.RetireLeave, "lorries:archive": core.RetireArchive, "lorries:default": core.RetireByDefault,
	}))
	names := []string{"in/leave", "in/archive", "in/default", "in/unknown"}
	w.ok(w.DB.RemoveLorries(w.Ctx, names))
	same(w, "by default nothing is touched", []string{"in/archive"}, w.due())

	w.ok(w.DB.SetDefaultRetire(w.Ctx, core.RetireArchive))
	w.ok(w.DB.PutLorries(w.Ctx, all))
	same(w, "all are back", []string{}, w.due())
	w.ok(w.DB.RemoveLorries(w.Ctx, names))
	same(w, "with another default", []string{"in/archive", "in/default", "in/unknown"}, w.due())
	w.ok(w.DB.SetRetire(w.Ctx, map[string]core.RetirePolicy{"lorries:archive": core.RetireLeave}))
	same(w, "what is decided stays so", 3, len(w.due()))
}

// archiving is a World whose only section archives.
func (w *World) archiving(paths ...string) {
	w.Helper()
	w.put(paths...)
	w.ok(w.DB.SetRetire(w.Ctx, map[string]core.RetirePolicy{"lorries:up": core.RetireArchive}))
}

func retireAfterJob(w *World) {
	w.archiving("a")
	c := w.claimOne("a")
	w.ok(w.DB.RemoveLorries(w.Ctx, []string{"a"}))
	same(w, "while the job runs", []string{}, w.due())
	w.update(queue.UpdateParams{Job: c.Job.ID, Fence: c.Job.Fence, Done: true, Exit: "0"})
	same(w, "once it has ended", []string{"a"}, w.due())
}

func retireAgain(w *World) {
	w.archiving("a", "b")
	w.ok(w.DB.RemoveLorries(w.Ctx, []string{"a", "b"}))
	same(w, "begun", true, w.begin("a", time.Minute)) // and its core dies here
	same(w, "meanwhile", []string{"b"}, w.due())
	w.Clock.Advance(2 * time.Minute)
	same(w, "later", []string{"b", "a"}, w.due())
	same(w, "begun again", true, w.begin("a", time.Minute))
	w.ok(w.DB.EndRetirement(w.Ctx, retire.Retirement{Path: "a", Attempts: 2, Next: w.Clock.Now().Add(Hour), Error: "no\x00 \xff"}))
	r, _ := w.retirement("a")
	same(w, "failed", retire.Retirement{Path: "a", Attempts: 2, Next: w.Clock.Now().Add(Hour), Error: "no\uFFFD \uFFFD"}, r)
	w.Clock.Advance(Hour)
	same(w, "begun once more", true, w.begin("a", time.Minute))
	w.ok(w.DB.EndRetirement(w.Ctx, retire.Retirement{Path: "a", Attempts: 3, Done: w.Clock.Now()}))
	same(w, "done", []string{"b"}, w.due())
	w.Clock.Advance(Hour)
	same(w, "once is enough", false, w.begin("a", time.Minute))
}

func retireNotBack(w *World) {
	w.archiving("a", "b", "Mixed/Case")
	w.ok(w.DB.RemoveLorries(w.Ctx, []string{"a", "b", "Mixed/Case"}))
	same(w, "begun", true, w.begin("a", time.Minute))
	w.put("a", "b", "mixed/case")
	w.Clock.Advance(Hour)
	same(w, "all are back, one with other letters", []string{}, w.due())
	same(w, "the last moment", false, w.begin("b", time.Minute))
	if r, found := w.retirement("a"); !found || r.Attempts != 1 {
		w.Errorf("want it known that a may be archived, got %+v", r)
	}
	w.ok(w.DB.ForgetRetirement(w.Ctx, "a"))
	_, found := w.retirement("a")
	same(w, "forgotten", false, found)
	// The call that was under way comes back late: it has archived after all.
	w.ok(w.DB.EndRetirement(w.Ctx, retire.Retirement{Path: "a", Attempts: 1, Done: w.Clock.Now()}))
	if r, found := w.retirement("a"); !found || r.Attempts != 1 || r.Done.IsZero() {
		w.Errorf("want it known again, got %+v", r)
	}
	w.ok(w.DB.RemoveLorries(w.Ctx, []string{"a", "mixed/case"}))
	same(w, "gone again", []string{"Mixed/Case", "a", "mixed/case"}, w.due())
}

// found gives "PATH STATE" of what a search finds.
func (w *World) found(s retire.Search) []string {
	w.Helper()
	all, err := w.DB.FindRetirements(w.Ctx, s)
	w.ok(err)
	names := []string{}
	for _, r := range all {
		names = append(names, r.Path+" "+string(r.State))
	}
	return names
}

func retireListed(w *World) {
	w.archiving("a", "b", "c", "D")
	w.ok(w.DB.RemoveLorries(w.Ctx, []string{"a", "b", "c", "D"}))
	w.begin("a", time.Minute)
	w.ok(w.DB.EndRetirement(w.Ctx, retire.Retirement{Path: "a", Attempts: 1, Next: w.Clock.Now().Add(Hour), Error: "no"}))
	w.begin("b", time.Minute)
	w.ok(w.DB.EndRetirement(w.Ctx, retire.Retirement{Path: "b", Attempts: 1, Done: w.Clock.Now()}))
	w.put("d") // to most hosts the same as D
	same(w, "all", []string{"D returning", "a failing", "b archived", "c waiting"}, w.found(retire.Search{}))
	same(w, "a page", []string{"a failing", "b archived"}, w.found(retire.Search{After: "D", Limit: 2}))
	same(w, "of one", []string{"b archived"}, w.found(retire.Search{Path: "b"}))
	same(w, "by state", []string{"c waiting"}, w.found(retire.Search{State: retire.Waiting}))
	same(w, "by attempts", []string{"a failing", "b archived"}, w.found(retire.Search{Attempts: 1}))
	all, err := w.DB.FindRetirements(w.Ctx, retire.Search{Path: "a"})
	w.ok(err)
	same(w, "one", retire.Retirement{Path: "a", Attempts: 1, Next: w.Clock.Now().Add(Hour), Error: "no"}, all[0].Retirement)
}

func retireCancelled(w *World) {
	w.archiving("a", "b")
	w.ok(w.DB.RemoveLorries(w.Ctx, []string{"a", "b"}))
	same(w, "begun", true, w.begin("a", time.Minute))
	w.ok(w.DB.CancelRetirement(w.Ctx, "a")) // while the host is asked, which fails
	w.ok(w.DB.EndRetirement(w.Ctx, retire.Retirement{Path: "a", Attempts: 1, Next: w.Clock.Now().Add(time.Minute), Error: "no"}))
	w.Clock.Advance(1000 * Hour)
	same(w, "due", []string{"b"}, w.due())
	same(w, "begun, though it is cancelled", false, w.begin("a", time.Minute))
	same(w, "all", []string{"a cancelled", "b waiting"}, w.found(retire.Search{}))
	w.ok(w.DB.HastenRetirement(w.Ctx, "a"))
	same(w, "due after all", []string{"a", "b"}, w.due())

	w.ok(w.DB.CancelRetirement(w.Ctx, "a"))
	w.ok(w.DB.PutLorries(w.Ctx, []core.Lorry{NewLorry("a")}))
	w.ok(w.DB.RemoveLorries(w.Ctx, []string{"a"}))
	same(w, "it went a second time", []string{"a", "b"}, w.due())

	w.begin("b", time.Minute)
	w.ok(w.DB.EndRetirement(w.Ctx, retire.Retirement{Path: "b", Attempts: 1, Done: w.Clock.Now()}))
	for path, want := range map[string]core.Kind{"b": core.KindConflict, "none": core.KindNotFound} {
		for _, err := range []error{w.DB.CancelRetirement(w.Ctx, path), w.DB.HastenRetirement(w.Ctx, path)} {
			if err == nil || core.KindOf(err) != want {
				w.Errorf("%s: want %q, got %v", path, want, err)
			}
		}
	}
}
