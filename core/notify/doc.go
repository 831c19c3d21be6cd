// Package notify tells people, by mail and by webhooks, what needs them: Lorries
// that begin to fail and that work again, what waits for an approval, mirrors
// that are out of date, broken adapters, full disks.
//
// It tells of groups and not of single Lorries, so that an outage is a few
// messages however many Lorries it hits. What was told is in the STATEDB, so
// that a restart neither repeats nor forgets it. It must not wait for a target
// that is away while it looks at the queue.
package notify
