package lorryctl

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/lorry-controller/lorry-controller/core/protocol"
)

// retirementsCommand shows the repositories downstream that are archived since
// their Lorries went away, and steers those that are to be.
func (a *app) retirementsCommand() *cobra.Command {
	retry := &cobra.Command{
		Use: "retry PATH", Short: "Try at once to archive a repository, also one that was cancelled", Args: cobra.ExactArgs(1),
		RunE: a.do(func(ctx context.Context, args []string) error {
			return a.order(ctx, "/1.0/retirements/retry", url.Values{"path": {args[0]}})
		}),
	}
	cancel := &cobra.Command{
		Use: "cancel PATH", Short: "Leave a repository as it is that was to be archived", Args: cobra.ExactArgs(1),
		RunE: a.do(func(ctx context.Context, args []string) error {
			return a.order(ctx, "/1.0/retirements/cancel", url.Values{"path": {args[0]}})
		}),
	}
	g := group("retirements", "List what is archived downstream since its Lorry went away, and steer it", a.retirementList(), retry, cancel)
	g.Aliases = []string{"retirement"}
	return g
}

func (a *app) retirementList() *cobra.Command {
	var state, cursor string
	var limit int
	list := &cobra.Command{
		Use: "list", Short: "List the repositories that are archived, or to be", Args: cobra.NoArgs,
		RunE: a.do(func(ctx context.Context, _ []string) error {
			query := url.Values{"limit": {strconv.Itoa(limit)}}
			for name, value := range map[string]string{"state": state, "cursor": cursor} {
				if value != "" {
					query.Set(name, value)
				}
			}
			raw, err := a.get(ctx, "/1.0/retirements", query)
			if err != nil {
				return err
			}
			return a.show(raw, a.retirementTable)
		}),
	}
	list.Flags().StringVar(&state, "state", "", "only those in this state: waiting, failing, archived, cancelled or returning")
	list.Flags().IntVar(&limit, "limit", 100, "at most so many")
	list.Flags().StringVar(&cursor, "cursor", "", "begin where the page before has ended")
	complete(list, "state", "waiting", "failing", "archived", "cancelled", "returning")
	return list
}

func (a *app) retirementTable(raw json.RawMessage) (string, error) {
	list, err := decode[protocol.Retirements](raw)
	if err != nil {
		return "", err
	}
	t := table{heading: []string{"PATH", "STATE", "ATTEMPTS", "NEXT", "ARCHIVED", "NOTE"}, colour: stateColour}
	for _, r := range list.Retirements {
		next, archived := "", ""
		if r.Next != 0 {
			next = moment(r.Next)
		}
		if r.Archived != 0 {
			archived = moment(r.Archived)
		}
		t.add(r.Path, r.State, strconv.Itoa(r.Attempts), next, archived, r.Error)
	}
	text := t.text(a.colours)
	if list.Next != "" {
		text += "There are more: --cursor " + cell(list.Next) + "\n"
	}
	return text, nil
}
