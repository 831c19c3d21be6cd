package daemon

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/adapter"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/settings"
	"github.com/lorry-controller/lorry-controller/core/telemetry"
)

// Reread reads the settings again, from where they came at the start.
type Reread func() (*settings.Values, settings.Controller, error)

// reloading is what reading the settings again needs and changes.
type reloading struct {
	mu sync.Mutex // one reload at a time
	// started are the settings at the start, which count for all that is not
	// read again; live those of the last reload, for what is.
	started, live *settings.Values
	log           *telemetry.Log
	now           atomic.Pointer[settings.Controller]
	renewed       renewal
}

// Reload reads the settings, the secrets and CONFGIT again, gives the adapters
// what has changed, and starts broken ones again. Settings that can't be used
// are core.KindInvalid, and nothing is changed then.
func (d *Daemon) Reload(ctx context.Context) (protocol.Reload, error) {
	answer := protocol.Reload{Applied: []string{}, Restart: []string{}, Failed: []string{}}
	if d.opts.Reread == nil {
		return answer, core.Errorf(core.KindUnsupported, "this controller can't read its settings again")
	}
	r := &d.reloading
	r.mu.Lock()
	defer r.mu.Unlock()
	values, next, err := d.opts.Reread()
	if err != nil {
		return answer, &core.Error{
			Kind: core.KindInvalid, Err: err, Fact: "the settings can't be used: " + strings.ReplaceAll(d.redactor.Redact(err.Error()), "\n", "; "),
			Hint: "nothing was changed; correct them and reload again",
		}
	}
	d.redactor.Add(values.Secrets()...)
	d.applySettings(values, next, &answer)
	d.reloadConfgit(ctx, &answer)
	d.reloadAdapters(ctx, &answer)
	d.log.Info("reloaded", "applied", strings.Join(answer.Applied, "; "), "restart", strings.Join(answer.Restart, " "),
		"failed", strings.Join(answer.Failed, "; "))
	return answer, nil
}

// applySettings takes over what counts without a restart, and names the rest.
func (d *Daemon) applySettings(values *settings.Values, next settings.Controller, answer *protocol.Reload) {
	r := &d.reloading
	sameConfgit := next.Confgit.URL == d.config.Confgit.URL
	counts := func(name string) bool {
		if strings.HasPrefix(name, "confgit-") && !sameConfgit {
			return false // they are those of another place
		}
		return name == "log-level" || values.Rereads(name)
	}
	var taken []string
	for _, name := range values.Changed(r.live) {
		if counts(name) {
			taken = append(taken, name)
		}
	}
	for _, name := range values.Changed(r.started) {
		if !counts(name) {
			answer.Restart = append(answer.Restart, name)
		}
	}
	r.live = values
	now := takeOverSettings(d.config, next)
	r.now.Store(&now)
	d.useSettings(now)
	if err := r.log.Reopen(); err != nil {
		answer.Failed = append(answer.Failed, fmt.Sprintf("log: %v", err))
	}
	what := "settings: nothing has changed"
	if len(taken) > 0 {
		what = "settings: " + strings.Join(taken, ", ")
	}
	answer.Applied = append(answer.Applied, what)
}

func (d *Daemon) reloadConfgit(ctx context.Context, answer *protocol.Reload) {
	problems, err := (countedReads{d.confgit, d.metrics}).ReadConfiguration(ctx)
	if err != nil {
		answer.Failed = append(answer.Failed, fmt.Sprintf("CONFGIT: %v", err))
		return
	}
	answer.Applied = append(answer.Applied, fmt.Sprintf("CONFGIT: commit %s, %d problems", d.confgit.Config().Commit, len(problems)))
}

// reloadAdapters applies the hosts again, which replaces the processes of those
// whose settings have changed, and starts those that are broken.
func (d *Daemon) reloadAdapters(ctx context.Context, answer *protocol.Reload) {
	if err := d.applyAdapters(ctx, d.confgit.Config()); err != nil {
		d.logAdapters(err)
		answer.Failed = append(answer.Failed, "adapters: "+strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	d.prepare.forgetAll()
	for _, s := range d.adapters.States() {
		if s.Phase != adapter.PhaseBroken && s.Phase != adapter.PhaseBackoff {
			continue
		}
		if err := d.adapters.Restart(ctx, s.Name); err != nil {
			answer.Failed = append(answer.Failed, fmt.Sprintf("adapter for %s: %v", s.Name, err))
			continue
		}
		answer.Applied = append(answer.Applied, fmt.Sprintf("adapter for %s: started again", s.Name))
	}
	answer.Applied = append(answer.Applied, "adapters: hosts and credentials")
}

// reloadOnHangup reloads at each SIGHUP until ctx ends.
func (d *Daemon) reloadOnHangup(ctx context.Context) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
			if _, err := d.Reload(ctx); err != nil && ctx.Err() == nil {
				d.log.Error("not reloaded", "err", err)
			}
		}
	}
}
