package minions

import (
	"context"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// Runner is a queue that can run a Lorry once more, before others.
type Runner interface {
	MoveToTop(ctx context.Context, path string) error
}

// onlyDeletionsRefused reports whether a job failed for nothing but branches
// that downstream did not let go. One of them is most likely downstream's
// default branch still: that one follows upstream's only when a push is told of.
func onlyDeletionsRefused(p queue.UpdateParams, head string) bool {
	if !p.Done || p.Failure.Kind != core.FailRefused || head == "" {
		return false
	}
	refused := 0
	for _, ref := range p.Refs {
		switch {
		case ref.Status != core.RefRejected && ref.Status != core.RefHeld:
		case ref.New != "" || !strings.HasPrefix(ref.Ref, "refs/heads/") || ref.Ref == head:
			return false
		default:
			refused++
		}
	}
	return refused > 0
}

// moveHead tells downstream of what has arrived, so that its default branch
// moves, and runs the Lorry at once to delete the old one. That is tried once:
// when the next job is refused, too, the reason is another one.
func (m *Minions) moveHead(ctx context.Context, u protocol.Update) (path string, err error) {
	path, err = m.tellPushed(ctx, u)
	if err != nil || path == "" {
		return path, err
	}
	lorry, err := m.queue.Lorry(ctx, path)
	runner, ok := m.queue.(Runner)
	if err != nil || !ok || lorry.Failures != 1 {
		return path, err
	}
	m.log.Info("a branch may have been kept because it was the default one, trying again", "path", path)
	return path, runner.MoveToTop(ctx, path)
}
