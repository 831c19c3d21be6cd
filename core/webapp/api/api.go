package api

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// Info is what the API tells of the controller itself.
type Info struct {
	// Version is the controller's own.
	Version string
	// Address is the URL at which people reach the pages, or "".
	Address string
	// DataDir is the directory whose free disk space is told, or "".
	DataDir string
	// Downstream describes the Downstream Host in a few words, without a
	// credential, such as "local at /srv/mirrors".
	Downstream string
	// PublishFailures is the original's option of that name.
	PublishFailures func() bool
	// Warning gives what an admin must know now, such as a full disk, or "". It
	// may be nil.
	Warning func(ctx context.Context) string
	// Adapters are the host adapters, or nil.
	Adapters Adapters
}

// Options are what an API needs.
type Options struct {
	Queue         Queue
	Configuration Configuration
	Info          Info
	Clock         core.Clock
	Log           hclog.Logger
	// PretendTime stops the clock at a time, for tests; nil when this is not
	// allowed.
	PretendTime func(time.Time)
	// Retirements may be nil: nothing is archived.
	Retirements Retirements
}

// API answers the admin's routes.
type API struct {
	queue  Queue
	config Configuration
	info   Info
	clock  core.Clock
	log    hclog.Logger

	pretendTime func(time.Time)
	retirements Retirements
}

// New makes an API.
func New(o Options) *API {
	return &API{
		queue: o.Queue, config: o.Configuration,
		info: o.Info, clock: o.Clock, log: o.Log, pretendTime: o.PretendTime, retirements: o.Retirements,
	}
}

// FailingLister is a queue that lists the Lorries whose last job failed, in the
// order of their paths, without going through all others.
type FailingLister interface {
	Failing(ctx context.Context, page queue.Page) ([]core.LorryState, error)
}

// OldJobsRemover is a queue that removes the jobs which ended long ago, by the
// rules that the admin set, and says how many they were.
type OldJobsRemover interface {
	RemoveOldJobs(ctx context.Context) (int, error)
}

const (
	// shownFailures is how many failing Lorries a status names.
	shownFailures = 50
	// scanPage and scanLimit bound the search for failing Lorries in a queue
	// that is no FailingLister.
	scanPage  = 500
	scanLimit = 20_000
)

// Failing gives at most limit of the Lorries whose last job failed.
func (a *API) Failing(ctx context.Context, counts queue.Counts, limit int) ([]core.LorryState, error) {
	if counts.Failing == 0 {
		return nil, nil
	}
	if lister, ok := a.queue.(FailingLister); ok {
		return lister.Failing(ctx, queue.Page{Limit: limit})
	}
	var failing []core.LorryState
	want := min(limit, counts.Failing)
	after := ""
	for range scanLimit / scanPage {
		page, err := a.queue.Queue(ctx, queue.Page{After: after, Limit: scanPage})
		if err != nil {
			return nil, err
		}
		for _, lorry := range page {
			if lorry.Failures > 0 || lorry.LastFailure.Failed() {
				failing = append(failing, lorry)
			}
		}
		if len(page) < scanPage || len(failing) >= want {
			break
		}
		after = page[len(page)-1].Path
	}
	return failing[:min(len(failing), limit)], nil
}

// Overview gathers the status; the run queue is cut to the given page.
func (a *API) Overview(ctx context.Context, page queue.Page) (protocol.Status, error) {
	lorries, err := a.queue.Queue(ctx, page)
	if err != nil {
		return protocol.Status{}, err
	}
	status, err := a.summary(ctx)
	if err == nil {
		status.RunQueue = lorryList(lorries, a.clock())
	}
	return status, err
}

// summary gathers the status without the run queue.
func (a *API) summary(ctx context.Context) (protocol.Status, error) {
	now := a.clock()
	st, err := a.queue.Status(ctx)
	if err != nil {
		return protocol.Status{}, err
	}
	hosts, err := a.queue.Hosts(ctx)
	if err != nil {
		return protocol.Status{}, err
	}
	holds, err := a.holds(ctx)
	if err != nil {
		return protocol.Status{}, err
	}
	problems, err := a.queue.Problems(ctx)
	if err != nil {
		return protocol.Status{}, err
	}
	failing, err := a.Failing(ctx, st.Counts, shownFailures)
	if err != nil {
		return protocol.Status{}, err
	}
	status := protocol.Status{
		RunningQueue:    st.Running,
		RunQueue:        []protocol.Lorry{},
		Hosts:           hostList(hosts, holds, now),
		MaxJobs:         st.MaxJobs,
		Links:           true,
		PublishFailures: a.info.PublishFailures != nil && a.info.PublishFailures(),
		Failures:        lorryList(failing, now),
		Counts:          protocol.Counts(st.Counts),
		Problems:        len(problems),
		Version:         a.info.Version,
		Address:         a.info.Address,
		Downstream:      a.info.Downstream,
		Adapters:        []protocol.Adapter{},
		Holds:           holds,
		Timestamp:       protocol.NiceTime(now),
	}
	status.Troves = status.Hosts
	if a.info.Adapters != nil {
		status.Adapters = append(status.Adapters, a.info.Adapters.Adapters()...)
	}
	a.diskFree(&status)
	if a.info.Warning != nil && status.WarningMsg == "" {
		status.WarningMsg = a.info.Warning(ctx)
	}
	return status, nil
}

func (a *API) diskFree(status *protocol.Status) {
	if a.info.DataDir == "" {
		return
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(a.info.DataDir, &fs); err != nil {
		a.log.Warn("free disk space is not known", "dir", a.info.DataDir, "error", err)
		status.WarningMsg = "free disk space of the data directory is not known"
		return
	}
	status.DiskFree = int64(fs.Bavail) * int64(fs.Bsize) //nolint:unconvert // types differ between systems
	status.DiskFreeMiB = float64(status.DiskFree) / (1 << 20)
	status.DiskFreeGiB = float64(status.DiskFree) / (1 << 30)
}

func unixTime(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func lorryList(lorries []core.LorryState, now time.Time) []protocol.Lorry {
	list := make([]protocol.Lorry, 0, len(lorries))
	for _, l := range lorries {
		list = append(list, LorryInfo(l, now))
	}
	return list
}

// LorryInfo shows a Lorry as it is at the time now.
func LorryInfo(l core.LorryState, now time.Time) protocol.Lorry {
	info := protocol.Lorry{
		Path: l.Path, Text: l.Text,
		FromHost: l.Host, FromTroveHost: l.Host, FromPath: l.HostPath,
		Section: l.Section, UpstreamHost: l.UpstreamHost,
		Interval: seconds(l.Interval), IntervalNice: protocol.NiceInterval(l.Interval),
		LorryTimeout: seconds(l.Timeout),
		Due:          unixTime(l.Due), DueNice: protocol.NiceDue(l.Due, now), Position: l.Position,
		LastRun: unixTime(l.LastRun), LastRunNice: protocol.NiceTime(l.LastRun),
		LastRunExit: l.LastExit, LastRunError: l.LastFailure.Cause,
		LastSuccess: unixTime(l.LastSuccess), LastEqual: unixTime(l.LastEqual),
		Failures: l.Failures, Failure: protocol.FailureInfo(l.LastFailure),
		DiskUsage: l.DiskUsage, DiskUsageNice: protocol.NiceSize(l.DiskUsage),
		Digest: l.Digest, Rewrites: l.Rewrites, HeldReason: l.HeldReason, Removed: l.Removed,
	}
	if l.Host != "" {
		info.Generated = 1
	}
	if l.RunningJob != 0 {
		id := l.RunningJob
		info.RunningJob = &id
	}
	return info
}

// JobInfo shows a job as it is at the time now, without its output.
func JobInfo(j core.Job, now time.Time) protocol.JobInfo {
	info := protocol.JobInfo{
		JobID: j.ID, Path: j.Path, Host: j.Minion, PID: j.PID,
		State: JobState(j), Exit: j.Exit,
		Started: unixTime(j.Started), Updated: unixTime(j.Updated), Ended: unixTime(j.Ended),
		JobStarted: protocol.NiceTime(j.Started), JobEnded: protocol.NiceTime(j.Ended),
		DiskUsage: j.DiskUsage, DiskUsageNice: protocol.NiceSize(j.DiskUsage),
		Failure: protocol.FailureInfo(j.Failure), Unchanged: j.Unchanged,
		Refs: append([]core.RefResult{}, j.Refs...), OutputSize: j.OutputSize, Progress: protocol.ProgressOf(j.Progress),
		Timestamp: protocol.NiceTime(now),
	}
	if j.Kill {
		info.Kill = 1
	}
	return info
}

// JobState puts a job's state into a word.
func JobState(j core.Job) string {
	switch {
	case j.Running() && j.Kill:
		return "stopping"
	case j.Running():
		return "running"
	case j.Exit == "lost" || j.Exit == "returned":
		return j.Exit
	case j.Exit == "0" && !j.Failure.Failed():
		return "succeeded"
	default:
		return "failed"
	}
}

// holds lists the upstream hosts that are held, whether CONFGIT has a section
// for them or not, in the order of names.
func (a *API) holds(ctx context.Context) ([]protocol.HostHold, error) {
	holds, err := a.queue.HostHolds(ctx)
	if err != nil {
		return nil, err
	}
	list := []protocol.HostHold{}
	for _, name := range slices.Sorted(maps.Keys(holds)) {
		list = append(list, protocol.HostHold{Name: name, Until: unixTime(holds[name].Until), Reason: holds[name].Reason})
	}
	return list, nil
}

func hostList(hosts []core.HostState, holds []protocol.HostHold, now time.Time) []protocol.HostInfo {
	list := make([]protocol.HostInfo, 0, len(hosts))
	for _, h := range hosts {
		info := hostInfo(h, now)
		if info.HeldUntil == 0 {
			info.HeldUntil, info.HeldReason = bareHold(h.Name, holds)
		}
		list = append(list, info)
	}
	return list
}

// bareHold gives the hold of a host that CONFGIT names with a port: the run
// queue holds by the name alone, in lower case, as in a Lorry's URL.
func bareHold(name string, holds []protocol.HostHold) (until int64, reason string) {
	name = bareName(name)
	for _, hold := range holds {
		if hold.Name == name {
			return hold.Until, hold.Reason
		}
	}
	return 0, ""
}

func hostInfo(h core.HostState, now time.Time) protocol.HostInfo {
	return protocol.HostInfo{
		Host: h.Name, TroveHost: h.Name, Type: h.Type, Protocol: h.Protocol,
		PrefixMap: prefixText(h.Prefixes), Prefixes: append([]core.PrefixRule{}, h.Prefixes...),
		Ignore:        jsonText(append([]string{}, h.Ignore...)),
		LorryInterval: seconds(h.Interval), LorryTimeout: seconds(h.Timeout),
		LsInterval: seconds(h.LsInterval), LsIntervalNice: protocol.NiceInterval(h.LsInterval),
		LsLastRun: unixTime(h.LsLast), LsLastRunNice: protocol.NiceTime(h.LsLast),
		LsDue: unixTime(h.LsDue), LsDueNice: protocol.NiceDue(h.LsDue, now),
		LsError: h.LsError, Listed: h.Listed, Purge: h.Purge, PurgeSince: unixTime(h.PurgeSince),
		HeldUntil: unixTime(h.HeldUntil), HeldReason: h.HeldReason,
	}
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }

// prefixText prints the rules as a JSON object that keeps the file's order.
func prefixText(rules []core.PrefixRule) string {
	text := []byte{'{'}
	for i, rule := range rules {
		if i > 0 {
			text = append(text, ',', ' ')
		}
		text = append(text, jsonText(rule.From)+": "+jsonText(rule.To)...)
	}
	return string(append(text, '}'))
}

func jsonText(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		return "" // strings and lists of them can always be encoded
	}
	return string(text)
}
