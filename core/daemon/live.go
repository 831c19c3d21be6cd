package daemon

import (
	"sync"

	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/schedule"
	"github.com/lorry-controller/lorry-controller/core/settings"
)

// live gives the settings that count now: those of the start, but for what the
// last reload changed. What is asked for at each use needs nothing else; the
// rest is handed over by useSettings.
func (d *Daemon) live() settings.Controller {
	if now := d.reloading.now.Load(); now != nil {
		return *now
	}
	return d.config
}

// takeOverSettings gives the settings of the start with those of a reload that
// count without a restart: the ones that the table of settings marks with
// Reread, and no other.
func takeOverSettings(start, next settings.Controller) settings.Controller {
	c := start
	c.Log.Level = next.Log.Level
	if next.Confgit.URL == start.Confgit.URL { // never show one place the password of another
		c.Confgit.Username, c.Confgit.Password = next.Confgit.Username, next.Confgit.Password
	}
	c.DenyPrivate, c.AllowAddresses = next.DenyPrivate, next.AllowAddresses
	c.Downstream.Settings, c.Downstream.SecretFiles = next.Downstream.Settings, next.Downstream.SecretFiles
	c.Downstream.GitLabToken, c.Downstream.GiteaToken = next.Downstream.GitLabToken, next.Downstream.GiteaToken
	c.Downstream.Visibility, c.Downstream.GerritParent = next.Downstream.Visibility, next.Downstream.GerritParent
	c.Downstream.Retire = next.Downstream.Retire
	c.Adapters.SHA256, c.Adapters.MaxCalls = next.Adapters.SHA256, next.Adapters.MaxCalls
	c.GhostTimeout, c.MaxJobsPerHost, c.RetryBackoff = next.GhostTimeout, next.MaxJobsPerHost, next.RetryBackoff
	c.AffinityGrace, c.MaxJobOutput = next.AffinityGrace, next.MaxJobOutput
	c.MinFree, c.PurgeProtect, c.Retention = next.MinFree, next.PurgeProtect, next.Retention
	c.ReadConfiguration, c.LsTroves = next.ReadConfiguration, next.LsTroves
	c.PublishFailures, c.Access.KeepAudit = next.PublishFailures, next.Access.KeepAudit
	c.Webhooks, c.Notify = next.Webhooks, next.Notify
	return c
}

// useSettings hands the settings that count now to those who keep them.
func (d *Daemon) useSettings(c settings.Controller) {
	d.reloading.log.SetLevelName(c.Log.Level)
	d.queue.SetLimits(queueLimits(c))
	d.source.LogIn(c.Confgit.Username, c.Confgit.Password)
	d.confgit.SetPurgeProtect(c.PurgeProtect)
	d.notifier.Set(noticeSettings(c.Notify))
	d.reloading.renewed.tell()
}

// queueLimits are the settings that steer the run queue.
func queueLimits(c settings.Controller) queue.Limits {
	return queue.Limits{
		GhostTimeout: c.GhostTimeout, MaxJobsPerHost: c.MaxJobsPerHost, AffinityGrace: c.AffinityGrace, OutputCap: c.MaxJobOutput,
		Backoff: schedule.Rules{NoBackoff: c.RetryBackoff == 0, Cap: c.RetryBackoff},
	}
}

// addresses are what may be fetched from.
func (d *Daemon) addresses() (denyPrivate bool, allow []string) {
	c := d.live()
	return c.DenyPrivate, c.AllowAddresses
}

// renewal tells of reloads.
type renewal struct {
	mu   sync.Mutex
	next chan struct{} // closed at the next one
}

// changed gives what is closed at the next reload.
func (r *renewal) changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next == nil {
		r.next = make(chan struct{})
	}
	return r.next
}

func (r *renewal) tell() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next != nil {
		close(r.next)
	}
	r.next = nil
}
