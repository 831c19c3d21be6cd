package lorryctl

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// root builds the tree of commands.
func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "lorryctl",
		Short: "Look at a Lorry Controller and steer it",
		Long: `Look at a Lorry Controller and steer it, over its HTTP API.

Environment:
  LORRY_ADDR        the controller's address, HOST:PORT or a URL
  LORRY_TOKEN       show this token to the controller
  LORRY_TOKEN_FILE  show the token in this file to the controller
  LORRY_CA_FILE     trust the authorities in this file for the controller's certificate
  LORRY_CLIENT_CERTIFICATE, LORRY_CLIENT_KEY
                    show the controller the certificate in this file
  NO_COLOR          no colours, on a terminal either

Exit codes:
  0  done
  1  the controller refused, or could not do it
  2  a mistake on the command line or in the environment
  3  the controller does not answer, or its STATEDB or a host does not`,
		SilenceUsage: true, SilenceErrors: true, DisableAutoGenTag: true,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	flags := root.PersistentFlags()
	flags.StringVar(&a.addr, "addr", "", "the controller's address, HOST:PORT or a URL (LORRY_ADDR; default "+defaultAddr+")")
	flags.StringVar(&a.tokenFile, "token-file", "", "show the token in this file to the controller (LORRY_TOKEN_FILE)")
	flags.StringVar(&a.caFile, "ca-file", "", "trust the authorities in this file for the controller's certificate (LORRY_CA_FILE)")
	flags.StringVarP(&a.format, "output", "o", "table", "table, json or yaml")
	flags.DurationVar(&a.timeout, "timeout", 5*time.Minute, "wait so long for an answer; 0 means for ever")
	root.AddCommand(
		a.statusCommand(), a.queueCommand(), a.lorriesCommand(), a.jobsCommand(), a.hostsCommand(),
		a.configCommand(), a.problemsCommand(), a.adaptersCommand(), a.approveCommand(), a.heldCommand(), a.retirementsCommand(),
		a.retryCommand(), a.failuresCommand(), a.minionsCommand(), a.eventsCommand(), a.reloadCommand(), a.maxJobsCommand(), a.tokenCommand(), a.auditCommand(), a.versionCommand(), a.manCommand(root),
	)
	// It fails for a flag that does not exist, and this one does.
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]cobra.Completion{"table", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
	return root
}

// group is a command that only holds others. Alone it does what its list does,
// if it has one.
func group(use, short string, members ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use: use, Short: short, Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			var names []string
			for _, m := range members {
				names = append(names, m.Name())
			}
			return usagef("%s needs one of its commands behind it: %s", c.CommandPath(), strings.Join(names, ", "))
		},
	}
	for _, m := range members {
		if m.Name() == "list" {
			c.Long = short + ".\n\nWithout one of its commands it does what list does, with the same flags."
			c.Flags().AddFlagSet(m.Flags())
			c.RunE = func(c *cobra.Command, _ []string) error {
				m.SetContext(c.Context())
				return m.RunE(m, nil)
			}
		}
	}
	c.AddCommand(members...)
	return c
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version of lorryctl; status prints the controller's", Args: cobra.NoArgs,
		RunE: a.do(func(context.Context, []string) error {
			_, err := fmt.Fprintf(a.stdout, "lorryctl %s\n", a.version)
			return err
		}),
	}
}

func (a *app) manCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write the man pages of all commands into a directory", Args: cobra.ExactArgs(1),
		RunE: a.do(func(_ context.Context, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			date := time.Unix(0, 0).UTC() // the same input gives the same pages
			header := &doc.GenManHeader{Section: "1", Source: "lorryctl " + a.version, Manual: "Lorry Controller", Date: &date}
			return doc.GenManTree(root, header, args[0])
		}),
	}
}
