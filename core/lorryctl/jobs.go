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

func (a *app) jobsCommand() *cobra.Command {
	g := group("jobs", "List and show jobs, stop and remove them",
		a.jobListCommand(),
		a.onJob("show ID", "Show one job, without its output", func(ctx context.Context, id string) error {
			raw, err := a.get(ctx, "/1.0/job/"+id, nil)
			if err != nil {
				return err
			}
			return a.show(raw, a.jobTable)
		}),
		a.jobOutputCommand(),
		a.onJob("stop ID", "Stop a running job: its minion does so with its next report", func(ctx context.Context, id string) error {
			raw, err := a.post(ctx, "/1.0/stop-job", url.Values{"job_id": {id}})
			if err != nil {
				return err
			}
			return a.show(raw, func(json.RawMessage) (string, error) { return "Job " + id + " is being stopped\n", nil })
		}),
		a.onJob("remove ID", "Forget a job that has ended", a.removeJob),
	)
	g.Aliases = []string{"job"}
	return g
}

// onJob is a command about the job of a number.
func (a *app) onJob(use, short string, f func(ctx context.Context, id string) error) *cobra.Command {
	return &cobra.Command{
		Use: use, Short: short, Args: cobra.ExactArgs(1),
		RunE: a.do(func(ctx context.Context, args []string) error {
			id, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil || id < 1 {
				return usagef("%q is no job's number", args[0])
			}
			return f(ctx, strconv.FormatInt(id, 10))
		}),
	}
}

func (a *app) jobListCommand() *cobra.Command {
	var s selection
	var path, state, minion, sort string
	var newer time.Duration
	var failed, running bool
	var limit int
	var before int64
	list := &cobra.Command{
		Use: "list", Short: "List jobs, newest first", Args: cobra.NoArgs,
		RunE: a.do(func(ctx context.Context, _ []string) error {
			query := s.values()
			query.Set("limit", strconv.Itoa(limit))
			if newer > 0 {
				query.Set("newer", seconds(newer))
			}
			for name, value := range map[string]string{
				"path": path, "failed": oneIf(failed), "running": oneIf(running), "state": state, "minion": minion, "sort": sort,
			} {
				if value != "" {
					query.Set(name, value)
				}
			}
			if before > 0 {
				query.Set("before", strconv.FormatInt(before, 10))
			}
			raw, err := a.get(ctx, "/1.0/jobs", query)
			if err != nil {
				return err
			}
			return a.show(raw, a.jobListTable)
		}),
	}
	flags := list.Flags()
	flags.StringVar(&s.host, "host", "", "only those of this upstream host, or Upstream Host")
	flags.StringVar(&s.kind, "kind", "", "only those that failed in this way, such as network")
	flags.StringVar(&s.text, "text", "", "only those with this in the Lorry's path")
	flags.DurationVar(&s.older, "older", 0, "only those that began longer ago, such as 24h")
	flags.DurationVar(&newer, "newer", 0, "only those that began within this time, such as 1h")
	flags.StringVar(&state, "state", "", "running, stopping, ended, succeeded, failed, lost or returned")
	flags.StringVar(&minion, "minion", "", "only those of this minion")
	flags.StringVar(&sort, "sort", "", "newest or oldest first")
	complete(list, "state", "running", "stopping", "ended", "succeeded", "failed", "lost", "returned")
	complete(list, "sort", "newest", "oldest")
	flags.StringVar(&path, "path", "", "only those of this Lorry")
	flags.BoolVar(&failed, "failed", false, "only those that failed")
	flags.BoolVar(&running, "running", false, "only those that run")
	flags.IntVar(&limit, "limit", 50, "show so many at most")
	flags.Int64Var(&before, "before", 0, "only those before the job of this number")
	return list
}

func oneIf(yes bool) string {
	if yes {
		return "1"
	}
	return ""
}

func (a *app) jobListTable(raw json.RawMessage) (string, error) {
	list, err := decode[struct{ Jobs []protocol.JobInfo }](raw)
	if err != nil {
		return "", err
	}
	t := table{heading: []string{"JOB", "PATH", "STATE", "STARTED", "TOOK", "MINION", "CAUSE"}, colour: stateColour}
	for _, j := range list.Jobs {
		t.add(strconv.FormatInt(int64(j.JobID), 10), j.Path, jobState(j), j.JobStarted, a.took(j), j.Host, j.Failure.Cause)
	}
	return t.text(a.colours), nil
}

func jobState(j protocol.JobInfo) string {
	if j.State == "succeeded" && j.Unchanged {
		return "unchanged"
	}
	return j.State
}

// took says how long a job ran, or runs already.
func (a *app) took(j protocol.JobInfo) string {
	end := j.Ended
	if end == 0 {
		end = a.clock().Unix()
	}
	return protocol.NiceSpan(time.Duration(end-j.Started) * time.Second)
}

func (a *app) jobTable(raw json.RawMessage) (string, error) {
	j, err := decode[protocol.JobInfo](raw)
	if err != nil {
		return "", err
	}
	far := ""
	if j.Progress != nil {
		far = j.Progress.Text
	}
	text := a.facts(
		fact{"Job", strconv.FormatInt(int64(j.JobID), 10)}, fact{"Path", j.Path}, fact{"State", jobState(j)}, fact{"Progress", far}, fact{"Exit", j.Exit},
		fact{"Started", j.JobStarted}, fact{"Ended", j.JobEnded}, fact{"Took", a.took(j)},
		fact{"Minion", j.Host + ", process " + strconv.Itoa(j.PID)}, fact{"Failure", string(j.Failure.Kind)},
		fact{"Cause", j.Failure.Cause}, fact{"Advice", j.Failure.Hint}, fact{"Disk usage", j.DiskUsageNice},
		fact{"Output", protocol.NiceSize(j.OutputSize)},
	)
	if len(j.Refs) == 0 {
		return text, nil
	}
	t := table{heading: []string{"REF", "RESULT", "OLD", "NEW", "REASON"}}
	for _, r := range j.Refs {
		t.add(r.Ref, r.Status, short(r.Old), short(r.New), r.Reason)
	}
	return text + "\n" + t.text(a.colours), nil
}

// short is an object's name for people.
func short(name string) string { return name[:min(len(name), 12)] }

// printOutput prints a job's output: all bytes of it into a file or a pipe, what
// is harmless to a terminal.
func (a *app) printOutput(ctx context.Context, id string) error {
	raw, err := a.get(ctx, "/1.0/job/"+id, nil)
	if err != nil {
		return err
	}
	job, err := decode[protocol.JobInfo](raw)
	if err != nil {
		return err
	}
	return a.show(object(map[string]any{"job_id": job.JobID, "output": job.Output}), func(json.RawMessage) (string, error) {
		if a.terminal {
			return plain(strings.ReplaceAll(job.Output, "\r", "\n")), nil
		}
		return job.Output, nil
	})
}

func (a *app) removeJob(ctx context.Context, id string) error {
	raw, err := a.post(ctx, "/1.0/remove-job", url.Values{"job_id": {id}})
	if err != nil {
		return err
	}
	answer, err := decode[struct {
		JobID  *core.JobID `json:"job_id"`
		Reason string
	}](raw)
	if err != nil {
		return err
	}
	if answer.JobID == nil {
		return &core.Error{
			Kind: core.KindConflict, Fact: "job " + id + " was not removed: " + answer.Reason,
			Hint: "stop it first: lorryctl jobs stop " + id,
		}
	}
	return a.show(raw, func(json.RawMessage) (string, error) { return "Job " + id + " is removed\n", nil })
}
