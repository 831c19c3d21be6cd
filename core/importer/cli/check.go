package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/importer/policy"
	"github.com/lorry-controller/lorry-controller/core/spec"
	"github.com/lorry-controller/lorry-controller/core/telemetry"
)

// check says what is wrong with files, which programs are missing and whether
// the sources can be reached.
// Nothing is kept.
func (r *run) check(ctx context.Context, files []string) int {
	if len(files) == 0 {
		fmt.Fprintln(r.stderr, "ERROR: no .lorry file is named; see lorry --help")
		return importer.ExitUsage
	}
	home, err := os.MkdirTemp("", "lorry-check-")
	if err != nil {
		return r.end(r.failed("", err))
	}
	defer func() { _ = os.RemoveAll(home) }()
	log, err := telemetry.NewLogger(telemetry.Options{Program: "lorry", Log: r.values.Log(), Stderr: r.stderr})
	if err != nil {
		return r.end(r.failed("", err))
	}
	defer func() { _ = log.Close() }()
	git, err := r.git(filepath.Join(home, "git"), log)
	if err != nil {
		return r.end(r.failed("", err))
	}
	way, err := r.route()
	if err != nil {
		return r.end(r.failed("", err))
	}
	reader := lsrefs.NewReader(git)
	defer reader.Close()
	status := importer.ExitDone
	for _, file := range files {
		specs, problems, err := readSpecs(file)
		if err != nil {
			status = max(status, r.end(r.failed("", err)))
			continue
		}
		for _, p := range problems {
			fmt.Fprintln(r.stdout, problemLine(p))
			if p.Severity == core.SeverityError {
				status = importer.ExitFailed
			}
		}
		for _, s := range specs {
			if ctx.Err() != nil {
				return importer.ExitStopped
			}
			for _, message := range examine(ctx, importer.Options{Spec: s, Git: git, Reader: reader, Route: way}) {
				if strings.HasPrefix(message, "error: ") {
					status = importer.ExitFailed
				}
				fmt.Fprintf(r.stdout, "%s:%d: %s: %s\n", file, s.Line, s.Name, message)
			}
		}
	}
	return status
}

// examine says what can be said of one Lorry before it is imported: which
// programs are missing, and whether its source answers.
func examine(ctx context.Context, o importer.Options) (messages []string) {
	word := func(e *gitfail.Error) {
		messages = append(messages, strings.TrimSuffix(fmt.Sprintf("error: %s: %s (%s)", e.Kind, e.Cause, e.Hint), " ()"))
	}
	lacking := importer.Lacking(ctx, o)
	for _, e := range lacking {
		word(e)
	}
	message, failure := reach(ctx, o)
	switch {
	case failure == nil:
		messages = append(messages, message)
	case failure.Kind != core.FailTool || len(lacking) == 0: // else that is told
		word(failure)
	}
	return messages
}

// reach asks one source what it has.
func reach(ctx context.Context, o importer.Options) (string, *gitfail.Error) {
	listing, err := importer.List(ctx, o)
	if err != nil {
		return "", gitfail.From(err, gitfail.Upstream)
	}
	if o.Spec.Type != spec.Git {
		return fmt.Sprintf("ok: the %s source answers", o.Spec.Type), nil
	}
	p, err := policy.New(o.Spec, core.RewriteByRefspec)
	if err != nil {
		return "", gitfail.New(core.FailSpec, gitfail.Upstream, "", "%v", err)
	}
	wanted, missing := p.Wanted(listing.Map())
	if len(wanted) == 0 {
		return "", gitfail.New(core.FailEmpty, gitfail.Upstream, "check the refspecs", "no ref of upstream matches")
	}
	text := fmt.Sprintf("ok: %d refs to mirror", len(wanted))
	if listing.Head != "" {
		text += ", HEAD is " + listing.Head
	}
	if len(missing) > 0 {
		text += "; upstream has no " + strings.Join(missing, ", ")
	}
	return text, nil
}
