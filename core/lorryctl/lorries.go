package lorryctl

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status", Short: "Show the state of the controller as a whole", Args: cobra.NoArgs,
		RunE: a.do(func(ctx context.Context, _ []string) error {
			raw, err := a.get(ctx, "/1.0/status", url.Values{"limit": {"1"}})
			if err != nil {
				return err
			}
			return a.show(raw, a.statusTable)
		}),
	}
}

func (a *app) statusTable(raw json.RawMessage) (string, error) {
	s, err := decode[protocol.Status](raw)
	if err != nil {
		return "", err
	}
	queue, limit := "running", "none"
	if !s.RunningQueue {
		queue = "stopped (nothing new begins)"
	}
	if s.MaxJobs != nil {
		limit = strconv.Itoa(*s.MaxJobs)
	}
	c := s.Counts
	text := a.facts(
		fact{"Queue", queue},
		fact{"Lorries", fmt.Sprintf("%d: %d running, %d due, %d failing, %d held", c.Lorries, c.Running, c.Due, c.Failing, c.Held)},
		fact{"Limit of jobs", limit},
		fact{"Upstream Hosts", strconv.Itoa(len(s.Hosts))},
		fact{"Downstream", s.Downstream},
		fact{"Problems of CONFGIT", strconv.Itoa(s.Problems)},
		fact{"Free disk space", protocol.NiceSize(s.DiskFree)},
		fact{"Warning", s.WarningMsg},
		fact{"Controller", strings.TrimSpace(s.Version + " " + s.Address)},
	)
	if len(s.Failures) == 0 {
		return text, nil
	}
	t := table{heading: []string{"FAILING", "KIND", "TIMES", "CAUSE"}}
	for _, l := range s.Failures {
		t.add(l.Path, string(l.Failure.Kind), strconv.Itoa(l.Failures), l.Failure.Cause)
	}
	return text + "\n" + t.text(a.colours), nil
}

func (a *app) queueCommand() *cobra.Command {
	var p lorryFilter
	show := func(ctx context.Context, _ []string) error { return a.list(ctx, &p) }
	queue := &cobra.Command{Use: "queue", Short: "Show the run queue in its order", Args: cobra.NoArgs, RunE: a.do(show)}
	p.flags(queue)
	queue.AddCommand(
		&cobra.Command{
			Use: "start", Short: "Let new jobs begin", Args: cobra.NoArgs,
			RunE: a.do(func(ctx context.Context, _ []string) error { return a.order(ctx, "/1.0/start-queue", nil) }),
		},
		&cobra.Command{
			Use: "stop", Short: "Let no new job begin; those that run go on", Args: cobra.NoArgs,
			RunE: a.do(func(ctx context.Context, _ []string) error { return a.order(ctx, "/1.0/stop-queue", nil) }),
		},
	)
	return queue
}

// paging are the flags of long lists.
type paging struct {
	limit int
	after string
}

func (p *paging) flags(c *cobra.Command) {
	c.Flags().IntVar(&p.limit, "limit", 100, "show so many at most; 0 means all")
	c.Flags().StringVar(&p.after, "after", "", "begin behind the Lorry of this path")
}

func (a *app) listLorries(ctx context.Context, p paging) error {
	query := url.Values{}
	if p.limit != 0 {
		query.Set("limit", strconv.Itoa(p.limit))
	}
	if p.after != "" {
		query.Set("after", p.after)
	}
	raw, err := a.get(ctx, "/1.0/status", query)
	if err != nil {
		return err
	}
	status, err := decode[struct {
		RunQueue json.RawMessage `json:"run_queue"`
		Counts   protocol.Counts `json:"counts"`
	}](raw)
	if err != nil {
		return err
	}
	return a.show(object(map[string]json.RawMessage{"lorries": status.RunQueue}), func(json.RawMessage) (string, error) {
		lorries, err := decode[[]protocol.Lorry](status.RunQueue)
		if err != nil {
			return "", err
		}
		text := a.lorryRows(lorries)
		if p.limit > 0 && len(lorries) == p.limit && (p.after != "" || status.Counts.Lorries > p.limit) {
			text += fmt.Sprintf("Perhaps there are more: --after %s, or --limit 0 for all\n", cell(lorries[len(lorries)-1].Path))
		}
		return text, nil
	})
}

func lorryState(l protocol.Lorry) string {
	switch {
	case l.RunningJob != nil:
		return "running"
	case l.HeldReason != "":
		return "held"
	case l.Failure.Kind != core.FailNone:
		return "failing"
	case l.LastRun == 0:
		return "new"
	}
	return "ok"
}

func (a *app) lorriesCommand() *cobra.Command {
	var p lorryFilter
	list := &cobra.Command{
		Use: "list", Short: "List the Lorries in the order of the run queue, or those that flags select", Args: cobra.NoArgs,
		RunE: a.do(func(ctx context.Context, _ []string) error { return a.list(ctx, &p) }),
	}
	p.flags(list)
	show := &cobra.Command{
		Use: "show PATH", Short: "Show one Lorry, and why it does not run now", Args: cobra.ExactArgs(1),
		RunE: a.do(func(ctx context.Context, args []string) error {
			raw, err := a.get(ctx, "/1.0/lorry/"+escapedPath(args[0]), nil)
			if err != nil {
				return err
			}
			return a.show(raw, a.lorryTable)
		}),
	}
	var reason string
	hold := a.onGroup("hold", "Let no job of a Lorry, or of a group, begin until it is resumed", &reason)
	hold.Flags().StringVar(&reason, "reason", "", "why, for other people")
	g := group("lorries", "List, show and steer Lorries", list, show, hold,
		a.onPath("run PATH", "Run a Lorry next: it moves to the top of the run queue", "/1.0/move-to-top"),
		a.onGroup("resume", "Let jobs of a held Lorry, or of a group, begin again", new(string)),
		a.moveCommand(),
	)
	g.Aliases = []string{"lorry"}
	return g
}

func (a *app) moveCommand() *cobra.Command {
	return &cobra.Command{
		Use: "move PATH top|bottom", Short: "Move a Lorry to the top or the bottom of the run queue", Args: cobra.ExactArgs(2),
		RunE: a.do(func(ctx context.Context, args []string) error {
			if args[1] != "top" && args[1] != "bottom" {
				return usagef("a Lorry moves to top or bottom, not to %q", args[1])
			}
			return a.order(ctx, "/1.0/move-to-"+args[1], url.Values{"path": {args[0]}})
		}),
	}
}

// onPath is a command that sends a Lorry's path to a route.
func (a *app) onPath(use, short, route string) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1),
		RunE: a.do(func(ctx context.Context, args []string) error {
			return a.order(ctx, route, url.Values{"path": {args[0]}})
		}),
	}
}

func (a *app) lorryTable(raw json.RawMessage) (string, error) {
	l, err := decode[protocol.LorryDetail](raw)
	if err != nil {
		return "", err
	}
	origin, running, equal := l.Section, "", ""
	if l.FromHost != "" {
		origin = "Upstream Host " + l.FromHost + ", " + l.FromPath
	}
	if l.RunningJob != nil {
		running = strconv.FormatInt(int64(*l.RunningJob), 10)
	}
	if l.LastEqual != 0 {
		equal = protocol.NiceTime(time.Unix(l.LastEqual, 0))
	}
	text := a.facts(
		fact{"Path", l.Path}, fact{"State", lorryState(l.Lorry)}, fact{"From", origin}, fact{"Running job", running},
		fact{"Why not now", strings.TrimSpace(l.Why.Detail)}, fact{"Due", l.DueNice}, fact{"Interval", l.IntervalNice},
		fact{"Timeout", protocol.NiceInterval(time.Duration(l.LorryTimeout) * time.Second)},
		fact{"Last run", l.LastRunNice}, fact{"Last exit", l.LastRunExit}, fact{"Failure", string(l.Failure.Kind)},
		fact{"Cause", l.Failure.Cause}, fact{"Advice", l.Failure.Hint}, fact{"Equal to upstream", equal},
		fact{"Held because", l.HeldReason}, fact{"Disk usage", l.DiskUsageNice}, fact{"Jobs", idList(l.Jobs)},
	)
	return text + "\n" + plain(strings.TrimSpace(l.Text)) + "\n", nil
}

// idList names the newest of some jobs.
func idList(ids []core.JobID) string {
	const most = 10
	words := []string{}
	if len(ids) > most {
		words, ids = append(words, "…"), ids[len(ids)-most:]
	}
	for _, id := range ids {
		words = append(words, strconv.FormatInt(int64(id), 10))
	}
	return strings.Join(words, " ")
}

// escapedPath keeps the slashes of a Lorry's path.
func escapedPath(path string) string {
	return (&url.URL{Path: strings.Trim(path, "/")}).EscapedPath()
}
