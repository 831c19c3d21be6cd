package lorryctl

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/lorry-controller/lorry-controller/core/protocol"
)

// selection are the flags that select a group of Lorries.
type selection struct {
	host, kind, text string
	older            time.Duration
}

func (s *selection) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&s.host, "host", "", "only those of this upstream host, or Upstream Host")
	f.StringVar(&s.kind, "kind", "", "only those that fail in this way, such as network")
	f.StringVar(&s.text, "text", "", "only those with this in their path")
	f.DurationVar(&s.older, "older", 0, "only those whose last success is older, such as 24h")
}

// stateFlag is a flag for the state of Lorries.
func stateFlag(c *cobra.Command, state *string) {
	c.Flags().StringVar(state, "state", "", "only those in this state: running, due, waiting, held, failing, ok, new or removed")
	complete(c, "state", "running", "due", "waiting", "held", "failing", "ok", "new", "removed")
}

func (s *selection) values() url.Values {
	form := url.Values{}
	for name, value := range map[string]string{"host": s.host, "kind": s.kind, "text": s.text} {
		if value != "" {
			form.Set(name, value)
		}
	}
	if s.older > 0 {
		form.Set("older", seconds(s.older))
	}
	return form
}

func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }

// lorryFilter are the flags of a list of Lorries.
type lorryFilter struct {
	selection
	paging
	state, sort, cursor string
}

func (l *lorryFilter) flags(c *cobra.Command) {
	l.selection.flags(c)
	l.paging.flags(c)
	f := c.Flags()
	stateFlag(c, &l.state)
	f.StringVar(&l.sort, "sort", "", "queue, path, host, kind, last-run, last-success, failures or disk-usage; -ORDER turns it round")
	f.StringVar(&l.cursor, "cursor", "", "begin where the page before has ended")
	complete(c, "sort", "queue", "path", "host", "kind", "last-run", "last-success", "failures", "disk-usage")
}

func complete(c *cobra.Command, flag string, values ...cobra.Completion) {
	// It fails for a flag that does not exist, and this one does.
	_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
}

// list shows the Lorries that the flags select; without any, the run queue.
func (a *app) list(ctx context.Context, l *lorryFilter) error {
	query := l.values()
	for name, value := range map[string]string{"state": l.state, "sort": l.sort, "cursor": l.cursor} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if len(query) == 0 {
		return a.listLorries(ctx, l.paging)
	}
	if l.after != "" {
		return usagef("--after is for the whole queue; a list that is filtered goes on with --cursor")
	}
	if l.limit > 0 {
		query.Set("limit", strconv.Itoa(l.limit))
	} else {
		query.Set("limit", "10000")
	}
	raw, err := a.get(ctx, "/1.0/lorries", query)
	if err != nil {
		return err
	}
	return a.show(raw, func(raw json.RawMessage) (string, error) {
		list, err := decode[protocol.Lorries](raw)
		if err != nil {
			return "", err
		}
		text := a.lorryRows(list.Lorries)
		if list.Next != "" {
			text += "There are more: --cursor " + cell(list.Next) + "\n"
		}
		return text, nil
	})
}

func (a *app) lorryRows(lorries []protocol.Lorry) string {
	t := table{heading: []string{"PATH", "STATE", "DUE", "LAST RUN", "RESULT", "CAUSE"}, colour: stateColour}
	for _, l := range lorries {
		t.add(l.Path, lorryState(l), l.DueNice, l.LastRunNice, lastResult(l), l.Failure.Cause)
	}
	return t.text(a.colours)
}

func (a *app) failuresCommand() *cobra.Command {
	return &cobra.Command{
		Use: "failures", Short: "Show what fails, by kind of failure and host", Args: cobra.NoArgs,
		RunE: a.do(func(ctx context.Context, _ []string) error {
			raw, err := a.get(ctx, "/1.0/failures", nil)
			if err != nil {
				return err
			}
			return a.show(raw, func(raw json.RawMessage) (string, error) {
				list, err := decode[protocol.Failures](raw)
				if err != nil {
					return "", err
				}
				t := table{heading: []string{"LORRIES", "KIND", "HOST", "CAUSE OF ONE"}}
				for _, g := range list.Groups {
					t.add(strconv.Itoa(g.Count), string(g.Kind), g.Host, g.Cause)
				}
				text := t.text(a.colours)
				if len(list.Groups) > 0 {
					text += fmt.Sprintf("Retry a group with: lorryctl retry --kind %s", cell(string(list.Groups[0].Kind)))
					if host := list.Groups[0].Host; host != "" {
						text += " --host " + cell(host)
					}
					text += "\n"
				}
				return text, nil
			})
		}),
	}
}

func (a *app) retryCommand() *cobra.Command {
	var s selection
	var all bool
	retry := &cobra.Command{
		Use: "retry PATH | retry [--kind KIND] [--host HOST] [--text TEXT] [--older AGE] | retry --all", Args: cobra.MaximumNArgs(1),
		Short: "Forget the failures of a Lorry, or of a group, and run it as soon as its turn comes",
		RunE: a.do(func(ctx context.Context, args []string) error {
			form := s.values()
			if all {
				form.Set("all", "1")
			}
			switch {
			case len(args) == 1 && len(form) == 0:
				return a.order(ctx, "/1.0/retry", url.Values{"path": {args[0]}})
			case len(args) == 0 && len(form) > 0:
				return a.groupOrder(ctx, "/1.0/retry", form)
			}
			return usagef("retry needs a PATH, or flags that select a group, or --all; \"lorryctl failures\" lists the groups")
		}),
	}
	s.flags(retry)
	retry.Flags().BoolVar(&all, "all", false, "all Lorries that fail")
	return retry
}

// onGroup is hold or resume: of one Lorry, or of those that flags select.
func (a *app) onGroup(verb, short string, reason *string) *cobra.Command {
	var s selection
	var state string
	c := &cobra.Command{
		Use: verb + " PATH | " + verb + " [--kind KIND] [--state STATE] [--host HOST] [--text TEXT] [--older AGE]", Short: short, Args: cobra.MaximumNArgs(1),
		RunE: a.do(func(ctx context.Context, args []string) error {
			form := s.values()
			if state != "" {
				form.Set("state", state)
			}
			one := len(args) == 1 && len(form) == 0
			group := len(args) == 0 && (form.Has("kind") || form.Has("text") || form.Has("older") || form.Has("state"))
			if *reason != "" {
				form.Set("reason", *reason)
			}
			switch {
			case one:
				form.Set("path", args[0])
				return a.order(ctx, "/1.0/"+verb, form)
			case group:
				return a.groupOrder(ctx, "/1.0/"+verb, form)
			}
			return usagef("%s needs a PATH, or --kind, --state, --text or --older to select a group; for a whole host there is \"lorryctl hosts %s HOST\"", verb, verb)
		}),
	}
	s.flags(c)
	stateFlag(c, &state)
	return c
}

// groupOrder sends what is done to a group, and shows how many it were.
func (a *app) groupOrder(ctx context.Context, path string, form url.Values) error {
	raw, err := a.post(ctx, path, form)
	if err != nil {
		return err
	}
	return a.show(raw, func(raw json.RawMessage) (string, error) {
		answer, err := decode[protocol.GroupChanged](raw)
		return plain(answer.Message) + "\n", err
	})
}

// lastResult is what became of a Lorry's last job, in a word: its exit code says
// little to most people.
func lastResult(l protocol.Lorry) string {
	switch {
	case l.Failure.Kind != "":
		return string(l.Failure.Kind)
	case l.LastRunExit == "0":
		return "ok"
	}
	return l.LastRunExit
}
