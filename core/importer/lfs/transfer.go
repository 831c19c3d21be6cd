package lfs

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"sync"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
)

// workers is how many objects are on their way at once.
const workers = 4

// inBatches gives the server's word for each pointer to a function, many at
// once. lost gets the pointers whose objects the server does not have.
func (a *api) inBatches(ctx context.Context, pointers []Pointer, do func(context.Context, Pointer, object) error) (lost []Pointer, err error) {
	for len(pointers) > 0 {
		part := pointers[:min(batchSize, len(pointers))]
		pointers = pointers[len(part):]
		answers, err := a.batch(ctx, part)
		if err != nil {
			return lost, err
		}
		said := make(map[string]object, len(answers))
		for _, o := range answers {
			said[o.OID] = o
		}
		var work []Pointer
		for _, p := range part {
			o, ok := said[p.OID]
			switch {
			case !ok:
				return lost, fault(a.side.Place, core.FailLFS, hintServer, "its git-lfs server says nothing of the object for %s", p.name())
			case o.Error != nil && (o.Error.Code == http.StatusNotFound || o.Error.Code == http.StatusGone):
				lost = append(lost, p)
			case o.Error != nil:
				return lost, fault(a.side.Place, core.FailLFS, hintServer, "its git-lfs server refuses the object for %s: %d %.200q", p.name(), o.Error.Code, o.Error.Message)
			default:
				work = append(work, p)
			}
		}
		if err := together(ctx, work, func(ctx context.Context, p Pointer) error { return do(ctx, p, said[p.OID]) }); err != nil {
			return lost, err
		}
	}
	return lost, nil
}

// together does something for each pointer, a few at once, and ends with the
// first failure.
func together(ctx context.Context, pointers []Pointer, do func(context.Context, Pointer) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan Pointer)
	var wait sync.WaitGroup
	for range min(workers, len(pointers)) {
		wait.Go(func() {
			for p := range queue {
				if err := do(ctx, p); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, p := range pointers {
		select {
		case queue <- p:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(queue)
	wait.Wait()
	return context.Cause(ctx)
}

// download brings objects from upstream into the working area. Those that are
// there are kept even if others are missing.
func (s *Sync) download(ctx context.Context, store Store, pointers []Pointer, progress io.Writer) error {
	a, err := s.api(ctx, s.Upstream, opDownload)
	if err != nil {
		return err
	}
	defer a.close()
	lost, err := a.inBatches(ctx, pointers, func(ctx context.Context, p Pointer, o object) error {
		from, ok := o.Actions[opDownload]
		if !ok {
			return fault(a.side.Place, core.FailLFS, hintServer, "its git-lfs server does not say where the object for %s is", p.name())
		}
		return a.repeat(ctx, func() error { return a.get(ctx, store, p, from, progress) })
	})
	if err != nil {
		return err
	}
	return missing(s.Upstream.Place, lost)
}

// get fetches one object.
func (a *api) get(ctx context.Context, store Store, p Pointer, from action, progress io.Writer) error {
	ctx, watch := a.least.Start(ctx)
	defer watch.Stop()
	resp, err := a.send(ctx, http.MethodGet, from, nil, "")
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound, http.StatusGone:
		return missing(a.side.Place, []Pointer{p})
	default:
		return a.status(resp, "the server of git-lfs objects")
	}
	if err := store.Put(p, io.TeeReader(watch.Reader(resp.Body), progress)); err != nil {
		return a.written(ctx, p, err)
	}
	return nil
}

// upload asks downstream what it lacks, fetches that and hands it over.
func (s *Sync) upload(ctx context.Context, store Store, pointers []Pointer) error {
	a, err := s.api(ctx, s.Downstream, opUpload)
	if err != nil {
		return err
	}
	defer a.close()
	var mutex sync.Mutex
	var lacking []Pointer
	lost, err := a.inBatches(ctx, pointers, func(_ context.Context, p Pointer, o object) error {
		if _, wanted := o.Actions[opUpload]; wanted {
			mutex.Lock()
			defer mutex.Unlock()
			lacking = append(lacking, p)
		}
		return nil
	})
	if err == nil {
		err = missing(s.Downstream.Place, lost)
	}
	if err != nil {
		return err
	}
	if err := s.fetch(ctx, store, lacking); err != nil {
		return err
	}
	m := s.tell("handing over", lacking)
	// Asked once more: what was said before the fetch may have run out.
	_, err = a.inBatches(ctx, lacking, func(ctx context.Context, p Pointer, o object) error {
		to, wanted := o.Actions[opUpload]
		if !wanted {
			return nil
		}
		if err := a.repeat(ctx, func() error { return a.put(ctx, store, p, to, m) }); err != nil {
			return err
		}
		verify, wanted := o.Actions["verify"]
		if !wanted {
			return nil
		}
		return a.repeat(ctx, func() error { return a.verify(ctx, p, verify) })
	})
	return err
}

// put hands one object over.
func (a *api) put(ctx context.Context, store Store, p Pointer, to action, progress io.Writer) error {
	resp, err := a.send(ctx, http.MethodPut, to, func() (io.ReadCloser, int64, error) {
		f, err := store.Open(p)
		if err != nil {
			return nil, 0, err
		}
		return counted{io.TeeReader(f, progress), f}, p.Size, nil
	}, "application/octet-stream")
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return a.status(resp, "the server of git-lfs objects")
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	return nil
}

// counted is a file whose reading is counted.
type counted struct {
	io.Reader
	io.Closer
}

// verify has the server look whether an object has arrived.
func (a *api) verify(ctx context.Context, p Pointer, at action) error {
	body, err := json.Marshal(object{OID: p.OID, Size: p.Size})
	if err != nil {
		return gitfail.From(err, gitfail.Local)
	}
	resp, err := a.post(ctx, at, body)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fault(a.side.Place, core.FailLFS, hintServer, "its git-lfs server did not get the object for %s: it answered %q", p.name(), resp.Status)
	}
	return nil
}
