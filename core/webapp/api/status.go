package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
)

// Status answers GET /1.0/status. The run queue is whole unless the client asks
// for a page, and may be very long: it is read and written part by part, so that
// only the paths are in memory at once. Which Lorries there are and their order
// are those of one moment; a Lorry that has gone before its part is written is
// left out.
func (a *API) Status(r *exchange.Request) (exchange.Answer, error) {
	page, err := pageOf(r)
	if err != nil {
		return nil, err
	}
	paths, err := a.queue.QueuePaths(r.Context(), page)
	if err != nil {
		return nil, err
	}
	first, err := a.lorriesAt(r.Context(), paths[:min(len(paths), listPage)])
	if err != nil {
		return nil, err
	}
	status, err := a.summary(r.Context())
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(status)
	if err != nil {
		return nil, err
	}
	// It stands behind the one key running_queue, whose value is no text.
	before, after, _ := bytes.Cut(text, []byte(`"run_queue":[`))
	s := statusAnswer{a: a, now: a.clock(), paths: paths, first: first, before: append(before, `"run_queue":[`...), after: after}
	return a.stream("status", s.write), nil
}

// statusAnswer is a status that is being written.
type statusAnswer struct {
	a             *API
	now           time.Time
	before, after []byte            // what stands around the run queue
	paths         []string          // of the run queue
	first         []core.LorryState // the first part of it
}

// write writes the run queue, part by part, with what stands around it.
func (s *statusAnswer) write(ctx context.Context, out *bufio.Writer, more func()) error {
	if _, err := out.Write(s.before); err != nil {
		return err
	}
	separator := ""
	part := s.first
	for left := s.paths; len(left) > 0; {
		more()
		for _, l := range part {
			text, err := json.Marshal(LorryInfo(l, s.now))
			if err != nil {
				return err
			}
			if _, err := out.WriteString(separator); err != nil {
				return err
			}
			if _, err := out.Write(text); err != nil {
				return err
			}
			separator = ","
		}
		left = left[min(len(left), listPage):]
		var err error
		if part, err = s.a.lorriesAt(ctx, left[:min(len(left), listPage)]); err != nil {
			return err
		}
	}
	_, err := out.Write(append(s.after, '\n'))
	return err
}

// lorriesAt gives the Lorries of the paths in their order, without their Text
// and without those that have gone.
func (a *API) lorriesAt(ctx context.Context, paths []string) ([]core.LorryState, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	list, err := a.queue.FindLorries(ctx, queue.LorryFilter{Paths: paths, Sort: queue.SortPath, Limit: len(paths), Now: a.clock()})
	if err != nil {
		return nil, err
	}
	place := make(map[string]int, len(paths))
	for i, path := range paths {
		place[path] = i
	}
	slices.SortFunc(list.Lorries, func(a, b core.LorryState) int { return place[a.Path] - place[b.Path] })
	return list.Lorries, nil
}
