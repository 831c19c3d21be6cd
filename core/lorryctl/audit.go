package lorryctl

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/lorry-controller/lorry-controller/core/audit"
	"github.com/lorry-controller/lorry-controller/core/protocol"
)

func (a *app) auditCommand() *cobra.Command {
	var limit, before int64
	c := &cobra.Command{
		Use: "audit", Short: "Show who changed what, the newest first", Args: cobra.NoArgs,
		RunE: a.do(func(ctx context.Context, _ []string) error {
			query := url.Values{"limit": {strconv.FormatInt(limit, 10)}}
			if before > 0 {
				query.Set("before", strconv.FormatInt(before, 10))
			}
			raw, err := a.get(ctx, "/1.0/audit", query)
			if err != nil {
				return err
			}
			return a.show(raw, a.auditTable)
		}),
	}
	c.Flags().Int64Var(&limit, "limit", 50, "show so many rows, at most 1000")
	c.Flags().Int64Var(&before, "before", 0, "show the rows before this number")
	c.AddCommand(a.auditVerify())
	return c
}

func (a *app) auditTable(raw json.RawMessage) (string, error) {
	list, err := decode[protocol.Audit](raw)
	if err != nil {
		return "", err
	}
	t := table{heading: []string{"ROW", "TIME", "WHO", "FROM", "ACTION", "SUBJECT", "RESULT", "CHANGE"}, colour: stateColour}
	for _, e := range list.Entries {
		change := e.After
		switch e.Before {
		case "":
		case e.After:
			change = "" // it had no effect
		default:
			change = e.Before + " → " + e.After
		}
		t.add(strconv.FormatInt(e.Seq, 10), moment(e.Time), e.Who, e.From, e.Action, e.Subject, e.Result, change)
	}
	return t.text(a.colours), nil
}

func (a *app) auditVerify() *cobra.Command {
	return &cobra.Command{
		Use: "verify [ROW:HASH]...", Short: "Check that no row of the audit was changed, removed or moved",
		Long: `Check that no row of the audit was changed, removed or moved: the hash of each
is computed here, from the row and the hash before it.

The last row and its hash are printed. Keep them where nobody who can write to
the STATEDB can reach, and name them the next time: whoever makes the whole
chain anew, or cuts off its end together with the note of where it ends, can't
have that row with that hash.`,
		RunE: a.do(func(ctx context.Context, args []string) error {
			var known []audit.Mark
			for _, text := range args {
				mark, err := audit.ParseMark(text)
				if err != nil {
					return usagef("%v", err)
				}
				known = append(known, mark)
			}
			return a.verify(ctx, known)
		}),
	}
}

// verify reads the whole audit and computes its hashes.
func (a *app) verify(ctx context.Context, known []audit.Mark) error {
	read := func(after int64, limit int) (protocol.Audit, error) {
		query := url.Values{"after": {strconv.FormatInt(after, 10)}, "limit": {strconv.Itoa(limit)}}
		raw, err := a.get(ctx, "/1.0/audit", query)
		if err != nil {
			return protocol.Audit{}, err
		}
		return decode[protocol.Audit](raw)
	}
	first, err := read(0, 1)
	if err != nil {
		return err
	}
	ends := audit.Ends{Last: audit.Mark(first.Last), Removed: audit.Mark(first.Removed)}
	check, err := audit.Verify(ends, known, func(after int64, limit int) ([]audit.Entry, error) {
		page, err := read(after, limit)
		entries := make([]audit.Entry, 0, len(page.Entries))
		for _, e := range page.Entries {
			entries = append(entries, audit.Entry{
				Seq: e.Seq, At: time.UnixMicro(e.Micros).UTC(), Who: e.Who, From: e.From, Action: e.Action,
				Subject: e.Subject, Was: e.Before, Became: e.After, Result: e.Result, Hash: e.Hash,
			})
		}
		return entries, err
	})
	if err != nil {
		return err
	}
	last := check.At()
	answer := map[string]any{"verified": true, "first": ends.Removed.Seq + 1, "last": protocol.AuditMark(last), "mark": last.String()}
	return a.show(object(answer), func(json.RawMessage) (string, error) {
		return fmt.Sprintf("The audit is whole: rows %d to %d\n%s\n", ends.Removed.Seq+1, last.Seq, last), nil
	})
}
