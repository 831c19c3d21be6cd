package lorryctl

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
)

func (a *app) hostsCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List the Upstream Hosts", Args: cobra.NoArgs,
		RunE: a.do(func(ctx context.Context, _ []string) error {
			raw, err := a.get(ctx, "/1.0/hosts", nil)
			if err != nil {
				return err
			}
			return a.show(raw, a.hostTable)
		}),
	}
	refresh := &cobra.Command{
		Use: "refresh [HOST]", Short: "Ask an Upstream Host, or all of them, what repositories it has", Args: cobra.MaximumNArgs(1),
		RunE: a.do(func(ctx context.Context, args []string) error {
			form := url.Values{}
			if len(args) > 0 {
				form.Set("host", args[0])
			}
			return a.refresh(ctx, form)
		}),
	}
	g := group("hosts", "List the Upstream Hosts, refresh and hold them", list, refresh, a.hostHoldCommand(), &cobra.Command{
		Use: "resume HOST", Short: "Let jobs of a held upstream host begin again", Args: cobra.ExactArgs(1),
		RunE: a.do(func(ctx context.Context, args []string) error {
			return a.order(ctx, "/1.0/resume", url.Values{"host": {args[0]}})
		}),
	})
	g.Aliases = []string{"host"}
	return g
}

// hostHoldCommand holds an upstream host as a whole.
func (a *app) hostHoldCommand() *cobra.Command {
	var reason string
	var span time.Duration
	hold := &cobra.Command{
		Use: "hold HOST", Short: "Let no job of an upstream host begin, until it is resumed or for a time", Args: cobra.ExactArgs(1),
		RunE: a.do(func(ctx context.Context, args []string) error {
			form := url.Values{"host": {args[0]}}
			if reason != "" {
				form.Set("reason", reason)
			}
			if span > 0 {
				form.Set("until", strconv.FormatInt(a.clock().Add(span).Unix(), 10))
			}
			return a.order(ctx, "/1.0/hold", form)
		}),
	}
	hold.Flags().StringVar(&reason, "reason", "", "why, for other people")
	hold.Flags().DurationVar(&span, "for", 0, "for so long, such as 2h; until it is resumed otherwise")
	return hold
}

func (a *app) refresh(ctx context.Context, form url.Values) error {
	raw, err := a.post(ctx, "/1.0/force-ls-trove", form)
	if err != nil {
		return err
	}
	return a.show(raw, func(raw json.RawMessage) (string, error) {
		answer, err := decode[struct {
			Hosts []string `json:"updated-hosts"`
		}](raw)
		if err != nil || len(answer.Hosts) == 0 {
			return "No Upstream Host was refreshed; lorryctl hosts list says why\n", err
		}
		return "Refreshed: " + cell(strings.Join(answer.Hosts, ", ")) + "\n", nil
	})
}

func (a *app) hostTable(raw json.RawMessage) (string, error) {
	list, err := decode[struct{ Hosts []protocol.HostInfo }](raw)
	if err != nil {
		return "", err
	}
	t := table{heading: []string{"HOST", "TYPE", "STATE", "REPOSITORIES", "LISTED", "DUE", "NOTE"}, colour: stateColour}
	for _, h := range list.Hosts {
		state, note := "ok", h.LsError
		switch {
		case h.LsError != "":
			state = "failing"
		case h.HeldReason != "":
			state, note = "held", h.HeldReason
		case h.Purge != "":
			state, note = "held", h.Purge
		}
		t.add(h.Host, h.Type, state, strconv.Itoa(h.Listed), h.LsLastRunNice, h.LsDueNice, note)
	}
	return t.text(a.colours), nil
}

func (a *app) problemsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "problems", Short: "List what is wrong in CONFGIT, and what hosts need of a person", Args: cobra.NoArgs,
		RunE: a.do(func(ctx context.Context, _ []string) error {
			raw, err := a.get(ctx, "/1.0/problems", nil)
			if err != nil {
				return err
			}
			return a.show(raw, func(raw json.RawMessage) (string, error) {
				list, err := decode[struct{ Problems []core.Problem }](raw)
				if err != nil {
					return "", err
				}
				return a.problemRows(list.Problems), nil
			})
		}),
	}
}

func (a *app) adaptersCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List the host adapters", Args: cobra.NoArgs,
		RunE: a.do(func(ctx context.Context, _ []string) error {
			raw, err := a.get(ctx, "/1.0/adapters", nil)
			if err != nil {
				return err
			}
			return a.show(raw, func(raw json.RawMessage) (string, error) {
				list, err := decode[struct{ Adapters []protocol.Adapter }](raw)
				if err != nil {
					return "", err
				}
				t := table{heading: []string{"HOST", "TYPE", "ROLE", "STATE", "VERSION", "STARTS", "FAULTS", "NOTE"}, colour: stateColour}
				for _, d := range list.Adapters {
					t.add(d.Name, d.Type, d.Role, d.State, d.Version, strconv.Itoa(d.Starts), strconv.Itoa(d.Faults), d.Detail)
				}
				return t.text(a.colours), nil
			})
		}),
	}
	restart := &cobra.Command{
		Use: "restart HOST", Short: "Replace the process of a host's adapter, also of a broken one", Args: cobra.ExactArgs(1),
		RunE: a.do(func(ctx context.Context, args []string) error {
			return a.order(ctx, "/1.0/adapters/"+url.PathEscape(args[0])+"/restart", nil)
		}),
	}
	g := group("adapters", "List the host adapters and restart them", list, restart)
	g.Aliases = []string{"adapter"}
	return g
}

func (a *app) heldCommand() *cobra.Command {
	return &cobra.Command{
		Use: "held [PATH]", Short: "List the rewritten refs that wait for an approval", Args: cobra.MaximumNArgs(1),
		RunE: a.do(func(ctx context.Context, args []string) error {
			query := url.Values{}
			if len(args) > 0 {
				query.Set("path", args[0])
			}
			raw, err := a.get(ctx, "/1.0/held-rewrites", query)
			if err != nil {
				return err
			}
			return a.show(raw, func(raw json.RawMessage) (string, error) {
				list, err := decode[struct {
					Held []protocol.HeldRewrite `json:"held_rewrites"`
				}](raw)
				if err != nil {
					return "", err
				}
				t := table{heading: []string{"PATH", "REF", "APPROVED", "OLD", "NEW"}}
				for _, h := range list.Held {
					approved := "no"
					if h.Approved {
						approved = "yes"
					}
					t.add(h.Path, h.Ref, approved, h.Old, h.New)
				}
				return t.text(a.colours), nil
			})
		}),
	}
}

func (a *app) approveCommand() *cobra.Command {
	var host string
	approve := &cobra.Command{
		Use: "approve PATH REF OLD NEW | approve --host HOST", Short: "Approve a rewritten ref, or what a host's listing removes",
		Long: "Approve that a rewritten ref goes out with the next job; \"lorryctl held\" gives path, ref, old and new\n" +
			"object. When it is another rewrite by now, nothing is approved. Without OLD only NEW is compared.\n" +
			"With --host: approve the removals that a host's listing asks for.",
		RunE: a.do(func(ctx context.Context, args []string) error {
			switch {
			case host != "" && len(args) == 0:
				return a.order(ctx, "/1.0/approve", url.Values{"host": {host}})
			case host == "" && len(args) == 4:
				return a.order(ctx, "/1.0/approve", url.Values{"path": {args[0]}, "ref": {args[1]}, "old": {args[2]}, "new": {args[3]}})
			case host == "" && len(args) == 3:
				return a.order(ctx, "/1.0/approve", url.Values{"path": {args[0]}, "ref": {args[1]}, "new": {args[2]}})
			}
			return usagef("approve needs PATH, REF, OLD and NEW as \"lorryctl held\" lists them, or --host HOST alone")
		}),
	}
	approve.Flags().StringVar(&host, "host", "", "approve the removals of this Upstream Host")
	return approve
}

func (a *app) maxJobsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "max-jobs [N|none]", Short: "Show or set how many jobs may run at once", Args: cobra.MaximumNArgs(1),
		RunE: a.do(func(ctx context.Context, args []string) error {
			raw, err := a.maxJobs(ctx, args)
			if err != nil {
				return err
			}
			return a.show(raw, func(raw json.RawMessage) (string, error) {
				answer, err := decode[struct {
					MaxJobs *int `json:"max_jobs"`
				}](raw)
				if err != nil || answer.MaxJobs == nil {
					return "none\n", err
				}
				return strconv.Itoa(*answer.MaxJobs) + "\n", nil
			})
		}),
	}
}

func (a *app) maxJobs(ctx context.Context, args []string) (json.RawMessage, error) {
	if len(args) == 0 {
		return a.get(ctx, "/1.0/get-max-jobs", nil)
	}
	limit := args[0]
	if limit == "none" {
		limit = ""
	} else if n, err := strconv.Atoi(limit); err != nil || n < 0 {
		return nil, usagef("the limit must be a number or none, not %q", limit)
	}
	return a.post(ctx, "/1.0/set-max-jobs", url.Values{"max_jobs": {limit}})
}
