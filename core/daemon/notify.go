package daemon

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/adapter"
	"github.com/lorry-controller/lorry-controller/core/notify"
	"github.com/lorry-controller/lorry-controller/core/settings"
)

const (
	// noticeEvery is how often it is looked for what people should know, and
	// deliverEvery how often messages to them are sent.
	noticeEvery  = 10 * time.Second
	deliverEvery = 3 * time.Second
)

// notifyTargets are where people are told; none when nobody wants to know.
func notifyTargets(n settings.Notify) []notify.Target {
	var targets []notify.Target
	if !n.Webhook.Empty() {
		targets = append(targets, &notify.Webhook{
			URL: n.Webhook, Secret: n.WebhookSecret, Clock: time.Now,
			Client: &http.Client{CheckRedirect: notify.NoRedirects, Transport: &http.Transport{
				Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true,
			}},
		})
	}
	if n.Server != "" {
		targets = append(targets, &notify.Mail{
			Server: n.Server, Security: notify.Security(n.Security), Username: n.Username, Password: n.Password,
			From: n.From, To: n.To, Hello: hostName(),
		})
	}
	return targets
}

// noticeSettings are who is told of what, as the settings say it.
func noticeSettings(n settings.Notify) notify.Settings {
	s := notify.Settings{Targets: notifyTargets(n), Delay: n.Delay, Digest: n.Digest, StaleAfter: n.StaleAfter}
	for _, event := range n.Events {
		s.Lanes = append(s.Lanes, notify.Lane(event))
	}
	return s
}

func (d *Daemon) newNotifier() (*notify.Notifier, error) {
	return notify.New(notify.Options{
		Store: d.db, Current: d.troubles, Settings: noticeSettings(d.config.Notify),
		Clock: d.clock.now, NewID: rand.Text, Count: d.metrics.Notification, Log: d.log.Named("notify"),
	})
}

// notifyChores look for what people should know, and tell them. Each way to
// tell has a chore of its own, so that none waits for another; whoever is not
// configured now may be after a reload.
func (d *Daemon) notifyChores() []chore {
	look := func() time.Duration {
		c := d.live().Notify
		return max(min(noticeEvery, c.Delay, c.Digest), time.Second)
	}
	chores := []chore{{name: "look for what people should know", first: 2 * time.Second, pace: look, do: d.notifier.Look}}
	for _, way := range []string{(&notify.Webhook{}).Name(), (&notify.Mail{}).Name()} {
		chores = append(chores, chore{
			name: "tell people by " + way, first: time.Second, pace: func() time.Duration { return min(deliverEvery, look()) },
			do: func(ctx context.Context) error {
				for _, t := range d.notifier.Targets() {
					if t.Name() == way {
						return d.notifier.Deliver(ctx, t)
					}
				}
				return nil
			},
		})
	}
	return chores
}

// troubles is what people should know beyond Lorries that fail or are out of
// date.
func (d *Daemon) troubles(ctx context.Context) ([]notify.Notice, error) {
	var all []notify.Notice
	held, err := d.db.HeldRewrites(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, h := range held {
		if !h.Approved {
			all = append(all, notify.Notice{
				Lane: notify.Approvals, Subject: h.Path + " " + h.Ref, Cause: "upstream has rewritten a ref",
				Detail: fmt.Sprintf("from %.12s to %.12s", h.Old, h.New), Since: h.Since,
			})
		}
	}
	hosts, err := d.queue.Hosts(ctx)
	if err != nil {
		return nil, err
	}
	for _, h := range hosts {
		if h.Purge != "" {
			all = append(all, notify.Notice{
				Lane: notify.Approvals, Subject: h.Name, Host: h.Name, Cause: "many repositories are missing in its listing",
				Detail: h.Purge, Since: h.PurgeSince,
			})
		}
	}
	for _, s := range d.adapters.States() {
		if s.Phase == adapter.PhaseBroken {
			all = append(all, notify.Notice{Lane: notify.Adapters, Subject: s.Name, Host: s.Name, Detail: s.Reason, Since: s.Since})
		}
		if adapter.EndsSoon(s.ExpiresAt, time.Now()) {
			all = append(all, notify.Notice{
				Lane: notify.Credentials, Subject: s.Name, Host: s.Name, Since: s.Checked,
				Detail: "they stop working on " + s.ExpiresAt.UTC().Format(time.DateOnly) + ": replace them before",
			})
		}
	}
	if warning := d.diskWarning(ctx); warning != "" {
		all = append(all, notify.Notice{Lane: notify.Disk, Subject: hostName(), Host: hostName(), Detail: warning, Since: time.Now()})
	}
	return all, nil
}

// notifyCommand is "notify test": it sends a message to every target at once.
func notifyCommand(ctx context.Context, args []string, version string, stdout io.Writer) error {
	if len(args) == 0 || args[0] != "test" {
		return usageError("notify has one command: test")
	}
	values, err := settings.ControllerTable(version).Parse(args[1:], os.Environ())
	if err != nil {
		return err
	}
	config, err := settings.NewController(values, true)
	if err != nil {
		return err
	}
	targets := notifyTargets(config.Notify)
	if len(targets) == 0 {
		return &core.Error{
			Kind: core.KindInvalid, Fact: "nobody is configured to be told",
			Hint: "set notify-webhook, or notify-smtp with notify-from and notify-to",
		}
	}
	ok := notify.Test(ctx, targets, notify.TestMessage(rand.Text(), time.Now()), func(target string, err error) {
		if err != nil {
			fmt.Fprintf(stdout, "%s: failed: %v\n", target, err)
			return
		}
		fmt.Fprintf(stdout, "%s: sent\n", target)
	})
	if !ok {
		return core.Errorf(core.KindUnavailable, "not every target took the message")
	}
	return nil
}
