package notify

import (
	"context"
	"slices"
	"time"
)

// Look compares how things are with what was told, and puts the messages that
// this leads to into the outbox. When the settings have changed it first forgets
// messages to targets that are gone.
func (n *Notifier) Look(ctx context.Context) error {
	if err := n.forgetOnce(ctx); err != nil || len(n.Targets()) == 0 {
		return err
	}
	now := n.o.Clock().UTC()
	if err := n.note(ctx, now); err != nil {
		return err
	}
	groups, lanes, err := n.o.Store.NoticeGroups(ctx)
	if err != nil {
		return err
	}
	if err := n.dropUnheard(ctx, groups); err != nil {
		return err
	}
	for _, lane := range n.settings.Load().Lanes {
		if last := lanes[lane]; !last.IsZero() && now.Sub(last) < n.settings.Load().Digest {
			continue
		}
		if err := n.tell(ctx, now, lane, groups); err != nil {
			return err
		}
	}
	return nil
}

// note records what is new and what is over.
func (n *Notifier) note(ctx context.Context, now time.Time) error {
	if n.wants(Failures) {
		err := n.inBatches(ctx, func() (c Change, err error) {
			c.Add, err = n.o.Store.NewFailures(ctx, batch)
			return c, err
		})
		if err != nil {
			return err
		}
	}
	stale := time.Time{}
	if n.settings.Load().StaleAfter > 0 && n.wants(Staleness) {
		stale = now.Add(-n.settings.Load().StaleAfter)
	}
	if age := now.Sub(n.lookedAt); !stale.IsZero() && (age >= min(staleEvery, n.settings.Load().StaleAfter) || age < 0) {
		err := n.inBatches(ctx, func() (c Change, err error) {
			c.Add, err = n.o.Store.NewStale(ctx, stale, batch)
			return c, err
		})
		if err != nil {
			return err
		}
		n.lookedAt = now
	}
	err := n.inBatches(ctx, func() (c Change, err error) {
		c.Remove, err = n.o.Store.Recovered(ctx, stale, batch)
		return c, err
	})
	if err != nil || n.o.Current == nil {
		return err
	}
	return n.noteCurrent(ctx)
}

func (n *Notifier) wants(lane Lane) bool { return slices.Contains(n.settings.Load().Lanes, lane) }

// inBatches applies changes until there is nothing left to change.
func (n *Notifier) inBatches(ctx context.Context, next func() (Change, error)) error {
	for range rounds {
		c, err := next()
		if err != nil || len(c.Add)+len(c.Remove) == 0 {
			return err
		}
		if err := n.o.Store.ChangeNotices(ctx, c); err != nil {
			return err
		}
		if len(c.Add)+len(c.Remove) < batch {
			return nil
		}
	}
	return nil
}

// noteCurrent compares the lanes whose state is given whole.
func (n *Notifier) noteCurrent(ctx context.Context) error {
	current, err := n.o.Current(ctx)
	if err != nil {
		return err
	}
	there := map[[2]string]Notice{}
	for _, c := range current {
		if n.wants(c.Lane) {
			there[[2]string{string(c.Lane), c.Subject}] = c
		}
	}
	var c Change
	for _, lane := range []Lane{Approvals, Adapters, Disk, Credentials} {
		known, err := n.o.Store.Notices(ctx, lane)
		if err != nil {
			return err
		}
		for _, old := range known {
			key := [2]string{string(lane), old.Subject}
			if _, still := there[key]; !still {
				c.Remove = append(c.Remove, old)
			}
			delete(there, key)
		}
	}
	for _, fresh := range there {
		c.Add = append(c.Add, fresh)
	}
	if len(c.Add)+len(c.Remove) == 0 {
		return nil
	}
	slices.SortFunc(c.Add, func(a, b Notice) int { return a.Since.Compare(b.Since) })
	return n.o.Store.ChangeNotices(ctx, c)
}

// dropUnheard forgets groups that came and went before anybody was told.
func (n *Notifier) dropUnheard(ctx context.Context, groups []Group) error {
	var drop []string
	for _, g := range groups {
		if g.Open == 0 && (g.Tells == 0 || !n.wants(g.Lane)) {
			drop = append(drop, g.Name)
		}
	}
	if len(drop) == 0 {
		return nil
	}
	return n.o.Store.ChangeNotices(ctx, Change{Drop: drop})
}

// tell makes one message of all that a lane has to tell now, if anything.
func (n *Notifier) tell(ctx context.Context, now time.Time, lane Lane, groups []Group) error {
	c := Change{Lane: lane, At: now}
	var news []News
	for _, g := range groups {
		if g.Lane != lane {
			continue
		}
		what := n.due(g, now)
		if what == "" {
			continue
		}
		item, err := n.news(ctx, &g, what, now)
		if err != nil {
			return err
		}
		news = append(news, item)
		if what == Over {
			c.Drop = append(c.Drop, g.Name)
		} else {
			c.Groups = append(c.Groups, g)
		}
	}
	if len(news) == 0 {
		return nil
	}
	m := newMessage(n.o.NewID(), now, lane, news)
	for _, t := range n.settings.Load().Targets {
		c.Messages = append(c.Messages, Outgoing{
			ID: m.ID + "-" + t.Name(), Target: t.Name(), Message: m, Created: now, Next: now,
		})
	}
	n.o.Log.Info("people are told", "lane", string(lane), "subject", m.Subject, "message", m.ID)
	return n.o.Store.ChangeNotices(ctx, c)
}

// due says what is to be told of a group now: that it began, that there is
// more of it (soon once, then daily), that it is over, or nothing.
func (n *Notifier) due(g Group, now time.Time) State {
	switch {
	case g.Tells == 0 && g.Open > 0 && now.Sub(g.Opened) >= n.settings.Load().Delay:
		return Began
	case g.Tells == 0:
		return ""
	case g.Open == 0:
		return Over
	case g.Untold == 0:
		return ""
	case g.Tells == 1 && now.Sub(g.ToldAt) >= n.settings.Load().Digest, now.Sub(g.ToldAt) >= daily:
		return Grew
	}
	return ""
}

// news words what is told of a group, and notes in it that it was.
func (n *Notifier) news(ctx context.Context, g *Group, what State, now time.Time) (News, error) {
	item := News{State: what, Host: g.Host, Cause: g.Cause, Count: g.Open, Since: g.Opened, Sample: g.Sample}
	if what == Over {
		item.Count = g.Told
		return item, nil
	}
	fresh, err := n.o.Store.UntoldNotices(ctx, g.Name, maxSample)
	if err != nil {
		return item, err
	}
	item.New, item.Sample = g.Untold, nil
	for _, notice := range fresh {
		item.Sample = append(item.Sample, Item{Subject: notice.Subject, Detail: notice.Detail})
	}
	if g.Tells == 0 {
		g.Sample = item.Sample
	}
	g.ToldAt, g.Tells, g.Told = now, g.Tells+1, max(g.Told, g.Open)
	return item, nil
}
