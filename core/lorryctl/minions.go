package lorryctl

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lorry-controller/lorry-controller/core/protocol"
)

func (a *app) minionsCommand() *cobra.Command {
	list := &cobra.Command{
		Use: "list", Short: "List the minions and what each runs", Args: cobra.NoArgs,
		RunE: a.do(func(ctx context.Context, _ []string) error {
			raw, err := a.get(ctx, "/1.0/minions", nil)
			if err != nil {
				return err
			}
			return a.show(raw, a.minionTable)
		}),
	}
	act := func(word, short string) *cobra.Command {
		return &cobra.Command{
			Use: word + " NAME", Short: short, Args: cobra.ExactArgs(1),
			RunE: a.do(func(ctx context.Context, args []string) error {
				return a.order(ctx, "/1.0/minions/"+word, url.Values{"minion": {args[0]}})
			}),
		}
	}
	g := group("minions", "List minions, drain and resume them", list,
		act("drain", "Give a minion no job any more; those that it runs go on"),
		act("resume", "Give a minion jobs again"),
		act("forget", "Drop a minion that was taken away from the list"))
	g.Aliases = []string{"minion"}
	return g
}

func (a *app) minionTable(raw json.RawMessage) (string, error) {
	list, err := decode[protocol.Minions](raw)
	if err != nil {
		return "", err
	}
	t := table{heading: []string{"MINION", "STATE", "ADDRESS", "VERSION", "LABELS", "LAST SEEN", "RUNS"}, colour: stateColour}
	for _, m := range list.Minions {
		var runs []string
		for _, j := range m.Jobs {
			runs = append(runs, strconv.FormatInt(int64(j.JobID), 10)+" "+j.Path)
		}
		t.add(m.Name, m.State, m.Address, m.Version, strings.Join(m.Labels, ","), m.SeenNice, strings.Join(runs, ", "))
	}
	text := t.text(a.colours)
	for _, m := range list.Minions {
		if m.Short != "" {
			text += cell(m.Name) + " gets no job: " + cell(m.Short) + "\n"
		}
	}
	return text, nil
}

func (a *app) reloadCommand() *cobra.Command {
	return &cobra.Command{
		Use: "reload", Short: "Read settings, secrets and CONFGIT again, and start broken adapters", Args: cobra.NoArgs,
		RunE: a.do(func(ctx context.Context, _ []string) error {
			raw, err := a.post(ctx, "/-/reload", nil)
			if err != nil {
				return err
			}
			return a.show(raw, func(raw json.RawMessage) (string, error) {
				r, err := decode[protocol.Reload](raw)
				if err != nil {
					return "", err
				}
				var out strings.Builder
				for _, part := range []struct {
					word  string
					lines []string
				}{{"applied", r.Applied}, {"failed", r.Failed}, {"needs a restart", r.Restart}} {
					for _, line := range part.lines {
						out.WriteString(part.word + ": " + cell(line) + "\n")
					}
				}
				return out.String(), nil
			})
		}),
	}
}
