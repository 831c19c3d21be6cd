package events

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/webapp/api"
)

// most bounds what one look reads of anything that may be many.
const most = 10_000

// snapshot is the state of everything that events are about.
type snapshot struct {
	blank    bool // nothing was looked at yet
	queue    protocol.QueueEvent
	running  map[core.JobID]core.Job
	newest   core.JobID
	heldBy   map[string]core.LorryState // Lorries that an admin holds
	hosts    map[string]protocol.HostEvent
	holds    map[string]protocol.HoldEvent
	rewrites map[string]protocol.RewriteEvent
	adapters map[string]protocol.AdapterEvent
	minions  map[string]protocol.MinionEvent
	config   protocol.ConfigEvent
}

func newSnapshot() *snapshot {
	return &snapshot{
		running: map[core.JobID]core.Job{}, heldBy: map[string]core.LorryState{}, hosts: map[string]protocol.HostEvent{},
		holds: map[string]protocol.HoldEvent{}, rewrites: map[string]protocol.RewriteEvent{},
		adapters: map[string]protocol.AdapterEvent{}, minions: map[string]protocol.MinionEvent{},
	}
}

// look reads everything and gives what has changed since before; nothing when
// there is no before.
func (s *snapshot) look(ctx context.Context, o Options, before *snapshot) (changes []change, err error) {
	steps := []func(context.Context, Options, *snapshot, *[]change) error{
		s.lookJobs, s.lookHeld, s.lookQueue, s.lookHosts, s.lookRewrites, s.lookOthers,
	}
	base := before
	if base == nil {
		base = newSnapshot()
		base.blank = true
	}
	for _, step := range steps {
		if err := step(ctx, o, base, &changes); err != nil {
			return nil, err
		}
	}
	if before == nil {
		return nil, nil
	}
	return changes, nil
}

func (s *snapshot) lookQueue(ctx context.Context, o Options, before *snapshot, changes *[]change) error {
	st, err := o.Source.Status(ctx)
	if err != nil {
		return err
	}
	s.queue = protocol.QueueEvent{RunningQueue: st.Running, MaxJobs: st.MaxJobs, Counts: protocol.Counts(st.Counts)}
	old := before.queue
	if old.RunningQueue != st.Running || old.Counts != s.queue.Counts || !equalLimit(old.MaxJobs, st.MaxJobs) {
		*changes = append(*changes, change{protocol.EventQueue, s.queue})
	}
	return nil
}

func equalLimit(a, b *int) bool {
	return a == b || a != nil && b != nil && *a == *b
}

// lookJobs tells of jobs that began, are to be stopped or have ended, also of
// those that did all of it since the last look; and of the Lorries of those that
// ended.
func (s *snapshot) lookJobs(ctx context.Context, o Options, before *snapshot, changes *[]change) error {
	jobs, err := o.Source.Jobs(ctx, queue.JobFilter{Running: true})
	if err != nil {
		return err
	}
	s.newest = before.newest
	for _, j := range jobs {
		s.running[j.ID], s.newest = j, max(s.newest, j.ID)
	}
	if before.blank { // the first look: only where the ids have come to
		newest, err := o.Source.FindJobs(ctx, queue.JobSearch{Limit: 1})
		if err != nil {
			return err
		}
		for _, j := range newest {
			s.newest = max(s.newest, j.ID)
		}
		return nil
	}
	quick, err := o.Source.FindJobs(ctx, queue.JobSearch{After: before.newest, Oldest: true, State: queue.StateEnded, Limit: most})
	if err != nil {
		return err
	}
	ended := map[core.JobID]core.Job{}
	for _, j := range quick {
		ended[j.ID], s.newest = j, max(s.newest, j.ID)
	}
	for id, old := range before.running {
		if _, goesOn := s.running[id]; goesOn {
			continue
		}
		if j, err := o.Source.Job(ctx, id); err == nil {
			ended[id] = j
		} else if core.KindOf(err) != core.KindNotFound {
			return err
		} else {
			old.Exit = "returned" // removed already; how it ended is not known
			ended[id] = old
		}
	}
	return s.tellJobs(ctx, o, before, ended, changes)
}

func (s *snapshot) tellJobs(ctx context.Context, o Options, before *snapshot, ended map[core.JobID]core.Job, changes *[]change) error {
	for _, id := range slices.Sorted(maps.Keys(s.running)) {
		j := s.running[id]
		old, known := before.running[id]
		if !known || old.Kill != j.Kill {
			*changes = append(*changes, jobChange(j))
		}
		if further(old.Progress, j.Progress) {
			*changes = append(*changes, change{protocol.EventProgress, protocol.ProgressEvent{
				JobID: j.ID, Path: j.Path, Minion: j.Minion, Progress: *protocol.ProgressOf(j.Progress),
			}})
		}
	}
	var paths []string
	for _, id := range slices.Sorted(maps.Keys(ended)) {
		j := ended[id]
		if _, known := before.running[id]; !known { // it began since the last look, too
			began := j
			began.Exit, began.Ended, began.Failure, began.Unchanged = "", time.Time{}, core.Failure{}, false
			*changes = append(*changes, jobChange(began))
		}
		*changes = append(*changes, jobChange(j))
		paths = append(paths, j.Path)
	}
	return tellLorries(ctx, o, paths, changes)
}

func jobChange(j core.Job) change {
	return change{protocol.EventJob, protocol.JobEvent{
		JobID: j.ID, Path: j.Path, Minion: j.Minion, State: api.JobState(j), Exit: j.Exit,
		Started: seconds(j.Started), Ended: seconds(j.Ended), Unchanged: j.Unchanged, Failure: protocol.FailureInfo(j.Failure),
	}}
}

func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// tellLorries tells how Lorries are now.
func tellLorries(ctx context.Context, o Options, paths []string, changes *[]change) error {
	if len(paths) == 0 {
		return nil
	}
	slices.Sort(paths)
	paths = slices.Compact(paths)
	list, err := o.Source.FindLorries(ctx, queue.LorryFilter{Paths: paths, Sort: queue.SortPath, Limit: len(paths)})
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, l := range list.Lorries {
		there[l.Path] = true
		*changes = append(*changes, lorryChange(l))
	}
	for _, path := range paths {
		if !there[path] {
			*changes = append(*changes, change{protocol.EventLorry, protocol.LorryEvent{Path: path, State: "gone"}})
		}
	}
	return nil
}

func lorryChange(l core.LorryState) change {
	e := protocol.LorryEvent{
		Path: l.Path, State: queue.StateOK, Due: seconds(l.Due), LastRun: seconds(l.LastRun), LastSuccess: seconds(l.LastSuccess),
		Failures: l.Failures, Kind: l.LastFailure.Kind, HeldReason: l.HeldReason,
	}
	switch {
	case l.RunningJob != 0:
		e.State = queue.StateRunning
	case l.HeldReason != "":
		e.State = queue.StateHeld
	case l.Failures > 0:
		e.State = queue.StateFailing
	case l.LastRun.IsZero():
		e.State = queue.StateNew
	}
	return change{protocol.EventLorry, e}
}

// lookHeld tells of Lorries that an admin holds or has let go.
func (s *snapshot) lookHeld(ctx context.Context, o Options, before *snapshot, changes *[]change) error {
	list, err := o.Source.FindLorries(ctx, queue.LorryFilter{State: queue.StateHeld, Sort: queue.SortPath, Limit: most})
	if err != nil {
		return err
	}
	for _, l := range list.Lorries {
		s.heldBy[l.Path] = l
		if before.heldBy[l.Path].HeldReason != l.HeldReason {
			*changes = append(*changes, lorryChange(l))
		}
	}
	var resumed []string
	for path := range before.heldBy {
		if _, held := s.heldBy[path]; !held {
			resumed = append(resumed, path)
		}
	}
	return tellLorries(ctx, o, resumed, changes)
}
