package lorryctl

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
)

func (a *app) configCommand() *cobra.Command {
	read := &cobra.Command{
		Use: "read", Short: "Read CONFGIT now and use what it says", Args: cobra.NoArgs,
		RunE: a.do(func(ctx context.Context, _ []string) error { return a.order(ctx, "/1.0/read-configuration", nil) }),
	}
	var dir string
	plan := &cobra.Command{
		Use: "plan [COMMIT] | plan --dir DIR", Args: cobra.MaximumNArgs(1),
		Short: "Show what a commit, branch or ref of CONFGIT, or a directory, would change; nothing is changed",
		RunE: a.do(func(ctx context.Context, args []string) error {
			if len(args) > 0 && dir != "" {
				return usagef("plan takes a COMMIT or --dir, not both")
			}
			raw, err := a.plan(ctx, strings.Join(args, ""), dir)
			if err != nil {
				return err
			}
			return a.show(raw, a.planTable)
		}),
	}
	plan.Flags().StringVar(&dir, "dir", "", "plan for the files below this directory, such as a checkout of CONFGIT")
	check := &cobra.Command{
		Use: "check [DIR]", Args: cobra.MaximumNArgs(1),
		Short: "Say what is wrong in a directory, or in CONFGIT as it is now; errors give exit code 1",
		RunE:  a.do(func(ctx context.Context, args []string) error { return a.check(ctx, strings.Join(args, "")) }),
	}
	return group("config", "Read CONFGIT, check it, and plan changes", read, check, plan)
}

// plan asks what a commit, or the files of a directory, would change.
func (a *app) plan(ctx context.Context, commit, dir string) (json.RawMessage, error) {
	if dir == "" {
		form := url.Values{}
		if commit != "" {
			form.Set("commit", commit)
		}
		return a.post(ctx, "/1.0/plan", form)
	}
	files, err := readFiles(dir)
	if err != nil {
		return nil, err
	}
	c, err := a.client()
	if err != nil {
		return nil, err
	}
	var answer json.RawMessage
	return answer, c.PostJSON(ctx, "/1.0/plan", object(map[string]any{"files": files}), &answer)
}

// mostFiles bounds what is sent of a directory, in bytes.
const mostFiles = 12 << 20

// readFiles reads the texts below a directory, but hidden directories.
func readFiles(dir string) (map[string]string, error) {
	files, size := map[string]string{}, 0
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && name != dir && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case !entry.Type().IsRegular():
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		if err != nil {
			return err
		}
		if size += len(text); size > mostFiles {
			return usagef("the files below %s are longer than %d MiB together: push a branch to CONFGIT and plan for that", dir, mostFiles>>20)
		}
		files[filepath.ToSlash(rel)] = strings.ToValidUTF8(string(text), "\uFFFD")
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, usagef("there is no file below %s", dir)
	}
	return files, nil
}

func (a *app) planTable(raw json.RawMessage) (string, error) {
	p, err := decode[protocol.Plan](raw)
	if err != nil {
		return "", err
	}
	if p.Broken != "" {
		return "It can't be used at all, and nothing would change: " + cell(p.Broken) + "\n", nil
	}
	var out strings.Builder
	mark := func(sign, code, text string) {
		if !a.colours {
			code = ""
		}
		out.WriteString(painted(sign+" "+cell(text), code) + "\n")
	}
	for _, h := range p.Hosts.Added {
		mark("+", green, "host "+h+" (its listing decides what it adds)")
	}
	for _, h := range p.Hosts.Removed {
		mark("-", red, "host "+h)
	}
	for _, h := range p.Hosts.Changed {
		mark("~", yellow, "host "+h)
	}
	for _, l := range p.Added {
		mark("+", green, l.Path)
	}
	for _, l := range p.Removed {
		mark("-", red, l.Path)
	}
	for _, l := range p.Changed {
		mark("~", yellow, l.Path+": "+strings.Join(l.What, ", "))
	}
	for _, section := range p.Kept {
		mark("=", yellow, section+": broken, what it gave before stays")
	}
	fmt.Fprintf(&out, "%s: %d to add, %d to remove, %d to change, %d stay as they are\n", cell(p.Commit),
		p.Counts.Added, p.Counts.Removed, p.Counts.Changed, p.Counts.Unchanged)
	if len(p.Faults) > 0 {
		out.WriteString("\n" + a.problemRows(p.Faults))
	}
	return out.String(), nil
}

func (a *app) problemRows(problems []core.Problem) string {
	t := table{heading: []string{"SEVERITY", "WHERE", "KEY", "PROBLEM"}, colour: stateColour}
	for _, p := range problems {
		where := p.File
		if p.Line > 0 {
			where += ":" + strconv.Itoa(p.Line)
		}
		if where == "" {
			where = p.Host
		}
		message := p.Message
		if p.Hint != "" {
			message += "; " + p.Hint
		}
		t.add(p.Severity, where, p.Key, message)
	}
	return t.text(a.colours)
}

// check shows the problems alone, and fails when there is an error among them.
func (a *app) check(ctx context.Context, dir string) error {
	raw, err := a.plan(ctx, "", dir)
	if err != nil {
		return err
	}
	p, err := decode[protocol.Plan](raw)
	if err != nil {
		return err
	}
	errors := 0
	for _, problem := range p.Faults {
		if problem.Severity == core.SeverityError {
			errors++
		}
	}
	err = a.show(object(protocol.Problems{Problems: append([]core.Problem{}, p.Faults...)}), func(json.RawMessage) (string, error) {
		if len(p.Faults) == 0 {
			return "No problem was found\n", nil
		}
		return a.problemRows(p.Faults), nil
	})
	if err == nil && errors > 0 {
		word := "errors"
		if errors == 1 {
			word = "error"
		}
		return &core.Error{Kind: core.KindInvalid, Fact: fmt.Sprintf("there is %d %s", errors, word), Hint: "correct what is listed; docs/confgit.md describes every key"}
	}
	return err
}
