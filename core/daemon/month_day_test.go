package daemon

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// live lives through one day.
func (s *sim) live() {
	type event struct {
		at time.Duration
		do func()
	}
	var day []event
	at := func(from, to time.Duration, do func()) {
		day = append(day, event{from + time.Duration(s.draw.Int64N(int64(to-from))), do})
	}
	whole := func(do func()) { at(0, 23*time.Hour, do) }
	whole(func() { s.restart(true, time.Duration(1+s.draw.IntN(300))*time.Second) })
	whole(func() { s.restart(false, time.Duration(1+s.draw.IntN(60))*time.Second) })
	at(0, 6*time.Hour, s.changeConfgit)
	at(0, 6*time.Hour, s.changeListing)
	at(6*time.Hour, 8*time.Hour, func() { s.writeListing(s.day%4 != 2) })
	at(14*time.Hour, 15*time.Hour, func() { s.writeListing(true) })
	for range 4 {
		whole(func() { s.asks(s.core.queue.MoveToTop, false) })
		whole(func() { s.asks(s.core.queue.Retry, true) })
	}
	whole(s.toBottom)
	whole(s.stopJob)
	for _, hold := range []func() func(){s.holdLorry, s.holdHost, s.stopQueue, s.fewJobs} {
		var lift func()
		at(0, 18*time.Hour, func() { lift = hold() })
		at(18*time.Hour, 23*time.Hour, func() { lift() })
	}
	switch s.day {
	case s.days / 3:
		whole(func() { s.setClock(2 * time.Hour) })
	case s.days * 2 / 3:
		whole(func() { s.setClock(-3 * time.Hour) })
	}
	// Often enough that retention takes nothing away unseen.
	every := min(s.config.Retention.UnchangedAge/3, 12*time.Hour)
	for next := every; next < 23*time.Hour; next += every {
		day = append(day, event{next, s.look})
	}
	slices.SortFunc(day, func(a, b event) int { return int(a.at - b.at) })
	midnight := s.begin.Add(time.Duration(s.day) * simDay)
	for _, e := range day {
		pass(s.Context(), time.Until(midnight.Add(e.at)))
		e.do()
	}
	pass(s.Context(), time.Until(midnight.Add(simDay)))
	s.endDay()
}

// some is one of the Lorries.
func (s *sim) some() string {
	return slices.Sorted(maps.Keys(s.intervals))[s.draw.IntN(len(s.intervals))]
}

func (s *sim) asks(do func(context.Context, string) error, retry bool) {
	path := s.some()
	switch err := do(s.Context(), path); {
	case err == nil:
		s.book.asked[path] = append(s.book.asked[path], ask{time.Now().Truncate(time.Microsecond), retry})
	case core.KindOf(err) != core.KindNotFound: // CONFGIT may not have been read yet
		s.Fatal(err)
	}
}

func (s *sim) toBottom() {
	path := s.some()
	if err := s.core.queue.MoveToBottom(s.Context(), path); core.KindOf(err) != core.KindNotFound {
		s.must(err)
	}
	// It waits for the last one, which may be days.
	for d := range 5 * 24 {
		s.book.loose[path] = append(s.book.loose[path], time.Now().Add(time.Duration(d)*time.Hour))
	}
}

func (s *sim) stopJob() {
	jobs, err := s.core.queue.Jobs(s.Context(), queue.JobFilter{Running: true})
	s.must(err)
	for _, j := range jobs {
		if err := s.core.queue.StopJob(s.Context(), j.ID); core.KindOf(err) != core.KindConflict {
			s.must(err)
		}
	}
}

func (s *sim) holdLorry() func() {
	path, began := s.some(), time.Now()
	if err := s.core.queue.HoldLorry(s.Context(), path, "being moved"); err != nil {
		return func() {}
	}
	return func() {
		if err := s.core.queue.ResumeLorry(s.Context(), path); core.KindOf(err) != core.KindNotFound {
			s.must(err)
		}
		s.block(path, began, time.Now())
	}
}

func (s *sim) holdHost() func() {
	host, began := simHost(s.some()), time.Now()
	s.must(s.core.queue.HoldHost(s.Context(), host, time.Time{}, "maintenance"))
	return func() {
		s.must(s.core.queue.ResumeHost(s.Context(), host))
		s.block(host, began, time.Now())
	}
}

// stopQueue stops the whole queue, on every third day.
func (s *sim) stopQueue() func() {
	began := time.Now()
	if s.day%3 != 1 {
		return func() {}
	}
	s.must(s.core.queue.SetRunning(s.Context(), false))
	return func() {
		s.must(s.core.queue.SetRunning(s.Context(), true))
		s.block(everything, began, time.Now())
	}
}

// fewJobs lets one job run at a time, on every third day.
func (s *sim) fewJobs() func() {
	began, one := time.Now(), 1
	if s.day%3 != 2 {
		return func() {}
	}
	s.must(s.core.queue.SetMaxJobs(s.Context(), &one))
	return func() {
		s.must(s.core.queue.SetMaxJobs(s.Context(), nil))
		s.block(everything, began, time.Now())
	}
}

// changeConfgit adds a Lorry, removes one, and gives one another interval.
func (s *sim) changeConfgit() {
	s.want(s.some(), 0)
	s.added++
	s.want(fmt.Sprintf("c/n%03d", s.added), simDay)
	s.want(s.some(), 6*time.Hour)
	s.writeConfgit()
}

// changeListing has the host get two repositories and lose one.
func (s *sim) changeListing() {
	gone := s.draw.IntN(len(s.listed))
	s.book.loose[s.listed[gone]] = append(s.book.loose[s.listed[gone]], time.Now())
	s.book.gone[s.listed[gone]] = true
	s.listed = slices.Delete(s.listed, gone, gone+1)
	for range 2 {
		s.added++
		s.listed = append(s.listed, fmt.Sprintf("up/n%03d", s.added))
	}
	s.writeListing(true)
}

// setClock sets the wall clock.
func (s *sim) setClock(by time.Duration) {
	s.look()
	s.off += by
	s.core.setClock(s.off)
	s.book.leaps = append(s.book.leaps, leap{time.Now(), by})
	// Within one round of looking for ghosts it is noticed.
	s.block(everything, time.Now(), time.Now().Add(queue.DefaultGhostTimeout/4+bound))
}

// look judges what has happened since the last look.
func (s *sim) look() {
	acked := map[core.JobID]string{} // before the history is read
	for _, m := range s.minions {
		m.mu.Lock()
		maps.Copy(acked, m.acked)
		clear(m.acked)
		m.mu.Unlock()
	}
	jobs, err := s.core.queue.Jobs(s.Context(), queue.JobFilter{})
	s.must(err)
	faults := s.book.collect(jobs, s.off)
	faults = append(faults, leases(jobs, s.core.clock.now())...)
	for id, exit := range acked {
		if e := s.book.entries[id]; e == nil || e.exit != exit {
			faults = append(faults, fmt.Sprintf("the end of job %d, %q, was acknowledged, and the history has %+v", id, exit, e))
		}
	}
	for _, f := range faults {
		s.Errorf("day %d: %s", s.day+1, f)
	}
}

// endDay judges a day.
func (s *sim) endDay() {
	s.look()
	var idle []stretch
	for _, m := range s.minions {
		m.mu.Lock()
		m.idle = slices.DeleteFunc(m.idle, func(i stretch) bool { return time.Since(i.to) > 5*simDay })
		idle = append(idle, m.idle...)
		m.mu.Unlock()
	}
	for _, f := range s.book.check(time.Now(), idle) {
		s.Errorf("day %d: %s", s.day+1, f)
	}
	lorries, err := s.core.queue.Queue(s.Context(), queue.Page{})
	s.must(err)
	var have []string
	for _, l := range lorries {
		if have = append(have, l.Path); l.Removed {
			have = have[:len(have)-1]
		}
		free := !touched(s.book.loose[l.Path], stretch{time.Now().Add(-6 * simDay), time.Now()})
		if longest := max(l.Interval, simDay) * 2; free && l.Failures > 0 && l.Due.Sub(l.LastRun) > longest {
			s.Errorf("day %d: %s waits for %s after %d failures", s.day+1, l.Path, l.Due.Sub(l.LastRun), l.Failures)
		}
	}
	slices.Sort(have)
	want := slices.Sorted(maps.Keys(s.intervals))
	want = append(want, s.listed...)
	slices.Sort(want)
	if !slices.Equal(want, have) {
		s.Errorf("day %d: want %d Lorries, have %d: %s", s.day+1, len(want), len(have), strings.Join(difference(want, have), " "))
	}
	s.measure()
	if s.Failed() {
		s.FailNow()
	}
}

// difference is what only one of two sorted lists has.
func difference(a, b []string) (only []string) {
	for _, x := range a {
		if _, there := slices.BinarySearch(b, x); !there {
			only = append(only, "-"+x)
		}
	}
	for _, x := range b {
		if _, there := slices.BinarySearch(a, x); !there {
			only = append(only, "+"+x)
		}
	}
	return only
}

func (s *sim) measure() {
	jobs, err := s.core.queue.Jobs(s.Context(), queue.JobFilter{})
	s.must(err)
	f := figures{rows: len(jobs)}
	for _, j := range jobs {
		f.output += j.OutputSize
	}
	info, err := os.Stat(filepath.Join(s.dir, "state.db"))
	s.must(err)
	f.file = info.Size()
	s.sizes = append(s.sizes, f)
}

// finish ends the month: after a third of it the database grows no more.
func (s *sim) finish() {
	s.end()
	third, last := s.sizes[max(s.days/3-1, 0)], s.sizes[len(s.sizes)-1]
	if s.days > 3 {
		most := slices.MaxFunc(s.sizes[s.days/3:], func(a, b figures) int { return a.rows - b.rows })
		if most.rows > third.rows*3/2 || last.file > third.file*3/2 || last.output > third.output*3/2 {
			s.Errorf("the database grows: %+v after a third of the time, %+v at the end, up to %d rows", third, last, most.rows)
		}
	}
	ends := map[string]int{}
	for _, m := range s.minions {
		for kind, n := range m.ends {
			ends[kind] += n
		}
	}
	s.Logf("%d jobs (%v), %d judged: on average %s late, %s at most; after a third %+v, at the end %+v",
		s.book.last, ends, s.book.pairs, (s.book.lateSum / time.Duration(max(s.book.pairs, 1))).Round(time.Millisecond), s.book.latest, third, last)
}
