package minions

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
)

// OutputAppender is a queue that takes a note for the output of a job that has
// ended.
type OutputAppender interface {
	AppendOutput(ctx context.Context, id core.JobID, text string) error
}

// maxUpdates bounds how many reports one request may hold.
const maxUpdates = 1000

// JobUpdate answers POST /1.0/job-update: the original's form, or JSON with
// one update or a list of them.
func (m *Minions) JobUpdate(r *exchange.Request) (exchange.Answer, error) {
	updates, list, err := updatesOf(r.Form)
	if err != nil {
		return nil, err
	}
	answers, err := m.owned(r, updates)
	if err != nil {
		return nil, err
	}
	if list {
		return exchange.JSON(answers), nil
	}
	return exchange.JSON(answers[0]), nil
}

// owned applies the reports on jobs that are the caller's. The others are
// answered like those on jobs that were given up, and change nothing.
func (m *Minions) owned(r *exchange.Request, updates []protocol.Update) ([]protocol.UpdateAnswer, error) {
	if r.Caller.Inside || !r.Caller.Proven {
		return m.update(r.Context(), updates)
	}
	answers := make([]protocol.UpdateAnswer, len(updates))
	var own []protocol.Update
	var at []int
	for i, u := range updates {
		job, err := m.queue.Job(r.Context(), u.JobID)
		if err != nil && !isNotFound(err) {
			return nil, err
		}
		if err == nil && !owns(job, r.Caller) {
			m.log.Warn("a minion reported on another one's job", "job", u.JobID, "who", r.Caller.Name, "from", r.Caller.From)
			answers[i] = protocol.UpdateAnswer{JobID: u.JobID, Kill: true, Stale: true}
			continue
		}
		own, at = append(own, u), append(at, i)
	}
	done, err := m.update(r.Context(), own)
	for i, answer := range done {
		answers[at[i]] = answer
	}
	return answers, err
}

// updatesOf reads the reports; list says that a list was sent, which may be
// empty.
func updatesOf(form exchange.Form) (updates []protocol.Update, list bool, err error) {
	raw := form.JSON()
	if raw == nil {
		u, err := formUpdate(form)
		return []protocol.Update{u}, false, err
	}
	if raw = []byte(strings.TrimLeft(string(raw), " \t\r\n")); raw[0] == '[' {
		if err := json.Unmarshal(raw, &updates); err != nil {
			return nil, true, core.Errorf(core.KindInvalid, "list of updates can't be read: %w", err)
		}
		if len(updates) > maxUpdates {
			return nil, true, core.Errorf(core.KindInvalid, "%d updates in one request: at most %d", len(updates), maxUpdates)
		}
		return updates, true, nil
	}
	// Scripts send numbers as text and text as numbers; the form's view of an
	// object takes both where the strict one does not.
	var u protocol.Update
	if json.Unmarshal(raw, &u) != nil {
		u, err = formUpdate(form)
	}
	return []protocol.Update{u}, false, err
}

// formUpdate reads the original's fields. disk_usage is lenient, because the
// original's minion sends "None" while a job runs.
func formUpdate(form exchange.Form) (protocol.Update, error) {
	id, err := form.Int("job_id")
	if err != nil {
		return protocol.Update{}, err
	}
	u := protocol.Update{
		JobID: core.JobID(id), Exit: form.Get("exit"),
		Stdout: form.Get("stdout"), Stderr: form.Get("stderr"),
		Digest: form.Get("digest"), Head: form.Get("head"),
	}
	if usage, err := form.Int("disk_usage"); err == nil && usage > 0 {
		u.DiskUsage = usage
	}
	if form.Get("fence") != "" {
		fence, err := form.Int("fence")
		if err != nil {
			return protocol.Update{}, err
		}
		u.Fence = core.Fence(fence)
	}
	return u, nil
}

// update applies reports and answers them in the same order.
func (m *Minions) update(ctx context.Context, updates []protocol.Update) ([]protocol.UpdateAnswer, error) {
	params := make([]queue.UpdateParams, 0, len(updates))
	for _, u := range updates {
		p, err := m.params(ctx, u)
		if err != nil {
			return nil, err
		}
		params = append(params, p)
	}
	results, err := m.queue.Update(ctx, params)
	if isNotFound(err) {
		results, err = m.updateEach(ctx, params)
	}
	if err != nil {
		return nil, err
	}
	answers := make([]protocol.UpdateAnswer, 0, len(updates))
	for i, result := range results {
		if result.Stale && m.knew(ctx, params[i]) {
			result = queue.UpdateResult{}
		}
		answers = append(answers, protocol.UpdateAnswer{
			JobID: updates[i].JobID, Kill: result.Kill || result.Stale, Stale: result.Stale,
		})
		if p := params[i]; !result.Stale && p.Done && !p.Returned && p.Exit == "0" && !p.Failure.Failed() {
			m.ended(ctx, updates[i], p)
		} else if !result.Stale && onlyDeletionsRefused(p, updates[i].Head) {
			m.pushed(ctx, updates[i], m.moveHead)
		}
	}
	return answers, nil
}

// knew reports whether an end that comes too late is the very one that is
// recorded: the answer to it was lost, and the minion has sent it again. What
// follows a push is done again then, since it may not have come to that.
func (m *Minions) knew(ctx context.Context, p queue.UpdateParams) bool {
	if !p.Done || p.Fence == 0 {
		return false
	}
	job, err := m.queue.Job(ctx, p.Job)
	return err == nil && !job.Ended.IsZero() && job.Fence == p.Fence && job.Exit == p.Exit
}

// params turns a report into the queue's words.
func (m *Minions) params(ctx context.Context, u protocol.Update) (queue.UpdateParams, error) {
	p := queue.UpdateParams{
		Job: u.JobID, Fence: u.Fence, Output: exchange.Text(u.Stdout + u.Stderr), Sent: max(u.Sent, 0),
		DiskUsage: max(u.DiskUsage, 0), Digest: exchange.Text(u.Digest), Refs: u.Refs,
	}
	for i, ref := range p.Refs {
		p.Refs[i] = core.RefResult{
			Ref: exchange.Text(ref.Ref), Old: exchange.Text(ref.Old), New: exchange.Text(ref.New),
			Status: exchange.Text(ref.Status), Reason: exchange.Text(ref.Reason),
		}
	}
	if u.Progress != nil {
		progress := *u.Progress
		progress.Phase = exchange.Text(progress.Phase)
		p.Progress = &progress
	}
	switch exit := strings.TrimSpace(u.Exit); exit {
	case "", "no":
		return p, nil
	case "returned":
		p.Done, p.Returned, p.Exit = true, true, exit
		return p, nil
	default:
		code, err := strconv.Atoi(exit)
		if err != nil {
			return p, &core.Error{
				Kind: core.KindInvalid, Fact: fmt.Sprintf("field \"exit\" of job %d can't be understood", u.JobID),
				Hint: "send \"no\" while the job runs, then the exit code in decimal, or \"returned\"",
			}
		}
		p.Done, p.Exit, p.Unchanged = true, strconv.Itoa(code), u.Unchanged
		p.Failure = core.Failure{
			Kind: u.Failure.Kind, Cause: exchange.Text(u.Failure.Cause), Hint: exchange.Text(u.Failure.Hint), RetryAfter: u.Failure.RetryAfter,
		}
		if code != 0 && !p.Failure.Failed() {
			p.Failure = m.explain(ctx, u, code)
		}
		return p, nil
	}
}

// explain finds words for a failure of which only the exit code is known: the
// original's minion, or a --lorry-cmd that is not ours.
func (m *Minions) explain(ctx context.Context, u protocol.Update, code int) core.Failure {
	if code < 0 {
		if job, err := m.queue.Job(ctx, u.JobID); err == nil && job.Kill {
			return m.killed(ctx, job)
		}
		return core.Failure{Kind: core.FailOther, Cause: fmt.Sprintf("lorry was ended by signal %d", -code)}
	}
	cause := fmt.Sprintf("lorry exited with code %d", code)
	if line := lastLine(u.Stdout + "\n" + u.Stderr); line != "" {
		cause += ": " + line
	}
	return core.Failure{Kind: core.FailOther, Cause: cause, Hint: "the job's output says more"}
}

func (m *Minions) killed(ctx context.Context, job core.Job) core.Failure {
	lorry, err := m.queue.Lorry(ctx, job.Path)
	if err == nil && lorry.Timeout > 0 && m.clock().Sub(job.Started) >= lorry.Timeout {
		return core.Failure{
			Kind: core.FailTimeout, Cause: "job ran longer than its lorry-timeout of " + protocol.NiceInterval(lorry.Timeout),
			Hint: "raise lorry-timeout of its section, or look why it takes so long",
		}
	}
	return core.Failure{Kind: core.FailKilled, Cause: "job was stopped by an admin"}
}

// lastLine gives the last line that says something, shortened.
func lastLine(output string) string {
	const most = 200
	lines := strings.FieldsFunc(exchange.Text(output), func(r rune) bool { return r == '\n' || r == '\r' })
	for i := len(lines) - 1; i >= 0; i-- {
		line := []rune(strings.TrimSpace(lines[i]))
		if len(line) > most {
			return string(line[:most]) + "…"
		}
		if len(line) > 0 {
			return string(line)
		}
	}
	return ""
}

// updateEach applies reports one by one, so that a job which is not known does
// not keep the others from being recorded.
func (m *Minions) updateEach(ctx context.Context, params []queue.UpdateParams) ([]queue.UpdateResult, error) {
	results := make([]queue.UpdateResult, 0, len(params))
	for _, p := range params {
		one, err := m.queue.Update(ctx, []queue.UpdateParams{p})
		switch {
		case isNotFound(err):
			results = append(results, queue.UpdateResult{Stale: true})
		case err != nil:
			return nil, err
		default:
			results = append(results, one...)
		}
	}
	return results, nil
}

// pushed tells the Downstream Host in the background that branches arrived.
// A failure does not fail the job: its refs are there.
func (m *Minions) pushed(ctx context.Context, u protocol.Update, tell func(context.Context, protocol.Update) (string, error)) {
	ctx = context.WithoutCancel(ctx)
	m.background.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, pushedTimeout)
		defer cancel()
		ctx, release := whileOpen(ctx, m.aborted)
		defer release()
		began := time.Now()
		path, err := tell(ctx, u)
		m.owed.note(path, err)
		if err == nil {
			m.log.Debug("downstream host was told of a push", "path", path, "took", time.Since(began))
			return
		}
		m.log.Warn("downstream host could not be told of a push", "job", u.JobID, "path", path, "error", err)
		if notes, ok := m.queue.(OutputAppender); ok {
			note := "Note: the refs are pushed, but default branch and description could not be set: " + err.Error() + "\n"
			if err := notes.AppendOutput(ctx, u.JobID, note); err != nil {
				m.log.Warn("note was not added to a job's output", "job", u.JobID, "error", err)
			}
		}
	})
}

func (m *Minions) tellPushed(ctx context.Context, u protocol.Update) (path string, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = core.Errorf(core.KindInternal, "telling of a push broke down: %v", cause)
		}
	}()
	job, err := m.queue.Job(ctx, u.JobID)
	if err != nil {
		return "", err
	}
	lorry, err := m.queue.Lorry(ctx, job.Path)
	if isNotFound(err) {
		return job.Path, nil // CONFGIT dropped it meanwhile
	}
	if err != nil {
		return job.Path, err
	}
	return job.Path, m.prepare.Pushed(ctx, lorry, exchange.Text(u.Head))
}

// isNotFound reports whether err says that something does not exist.
func isNotFound(err error) bool { return err != nil && core.KindOf(err) == core.KindNotFound }
