package lorryctl

import (
	"context"
	"encoding/json"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/lorry-controller/lorry-controller/core/protocol"
)

// roles are those that a token can have, for the shell's completion.
func roles() []cobra.Completion {
	return []cobra.Completion{"viewer", "operator", "approver", "admin", "minion", "trigger"}
}

func (a *app) tokenCommand() *cobra.Command {
	return group("token", "Make, list and revoke the tokens that people and programs show", a.tokenCreate(), a.tokenList(), a.tokenRevoke())
}

func (a *app) tokenCreate() *cobra.Command {
	form := url.Values{}
	var role, name, expires string
	c := &cobra.Command{
		Use: "create --role ROLE", Short: "Make a token and print it, this once", Args: cobra.NoArgs,
		Long: `Make a token and print it, this once: the controller keeps only its digest.
Only the token goes to standard output, so that it can be kept in a file:

  (umask 077; lorryctl token create --role minion --name build-1 > token)`,
		RunE: a.do(func(ctx context.Context, _ []string) error {
			if role == "" {
				return usagef("token create needs --role: viewer, operator, approver, admin, minion or trigger")
			}
			form.Set("role", role)
			form.Set("name", name)
			form.Set("expires", expires)
			raw, err := a.post(ctx, "/1.0/tokens", form)
			if err != nil {
				return err
			}
			return a.show(raw, func(raw json.RawMessage) (string, error) {
				made, err := decode[protocol.NewToken](raw)
				return plain(made.Token) + "\n", err
			})
		}),
	}
	c.Flags().StringVar(&role, "role", "", "what its holder may do: viewer, operator, approver, admin, minion or trigger")
	c.Flags().StringVar(&name, "name", "", "what it is called; default: after its role")
	c.Flags().StringVar(&expires, "expires", "", "how long it counts, such as 90d or 12h; default: for ever")
	// It fails for a flag that does not exist, and this one does.
	_ = c.RegisterFlagCompletionFunc("role", cobra.FixedCompletions(roles(), cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (a *app) tokenList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List all tokens, without what is secret of them", Args: cobra.NoArgs,
		RunE: a.do(func(ctx context.Context, _ []string) error {
			raw, err := a.get(ctx, "/1.0/tokens", nil)
			if err != nil {
				return err
			}
			return a.show(raw, func(raw json.RawMessage) (string, error) {
				list, err := decode[protocol.Tokens](raw)
				if err != nil {
					return "", err
				}
				t := table{heading: []string{"ID", "NAME", "ROLE", "STATE", "CREATED", "EXPIRES", "LAST USED"}, colour: stateColour}
				for _, k := range list.Tokens {
					t.add(k.ID, k.Name, k.Role, k.State, moment(k.Created), moment(k.Expires), moment(k.LastUsed))
				}
				return t.text(a.colours), nil
			})
		}),
	}
}

func (a *app) tokenRevoke() *cobra.Command {
	return &cobra.Command{
		Use: "revoke ID|NAME", Short: "Make a token worthless, at once", Args: cobra.ExactArgs(1),
		RunE: a.do(func(ctx context.Context, args []string) error {
			raw, err := a.post(ctx, "/1.0/revoke-token", url.Values{"id": {args[0]}})
			if err != nil {
				return err
			}
			return a.show(raw, func(raw json.RawMessage) (string, error) {
				gone, err := decode[protocol.TokenInfo](raw)
				return "Token " + cell(gone.Name) + " (" + cell(gone.ID) + ") is revoked\n", err
			})
		}),
	}
}

// moment shows a time of the API.
func moment(seconds int64) string {
	if seconds == 0 {
		return "never"
	}
	return time.Unix(seconds, 0).UTC().Format(time.DateTime)
}
