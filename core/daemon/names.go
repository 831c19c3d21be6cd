package daemon

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/adapter"
	"github.com/lorry-controller/lorry-controller/core/confgit"
	"github.com/lorry-controller/lorry-controller/core/reconcile"
	"github.com/lorry-controller/lorry-controller/core/settings"
)

// checkPaths asks the Downstream Host's adapter what it makes of paths.
func (d *Daemon) checkPaths(ctx context.Context, paths []string) ([]core.PathVerdict, error) {
	return checkPaths(ctx, d.adapters, paths)
}

func checkPaths(ctx context.Context, hosts adapters, paths []string) ([]core.PathVerdict, error) {
	down, err := hosts.Downstream(adapter.DownstreamName)
	if err != nil {
		return nil, err
	}
	checker, ok := down.(core.PathChecker)
	if !ok {
		return nil, nil
	}
	return checker.CheckPaths(ctx, paths)
}

// configCommand is "lorry-controller config check DIR [OPTION...]": what is wrong
// in a checkout of CONFGIT, before it is pushed. With the daemon's options, it
// knows what they say about reading CONFGIT, and the Downstream Host's adapter has
// its say about paths.
func configCommand(ctx context.Context, args []string, version string, stdout, stderr io.Writer) error {
	if len(args) < 2 || args[0] != "check" {
		return usageError("config needs the word check, then the directory of a checkout of CONFGIT")
	}
	dir, options := args[1], args[2:]
	if _, err := os.Stat(filepath.Join(dir, confgit.ConfFile)); err != nil {
		return fmt.Errorf("%q is no CONFGIT: %w", dir, err)
	}
	programs, err := ownDirectory()
	if err != nil {
		return err
	}
	known := confgit.Rules{Types: hostTypes(settings.Controller{}, programs, nil)}
	var s settings.Controller
	if len(options) > 0 {
		if s, err = checkSettings(options, version, programs, stderr); err != nil {
			return err
		}
		known = rules(s, s.FileRoots, hostTypes(s, s.Adapters.Dir, nil))
	}
	source := confgit.NewSource(confgit.Options{Directory: dir, Rules: known})
	commit, err := source.Update(ctx)
	if err != nil {
		return err
	}
	config, err := source.Read(ctx, commit)
	if err != nil {
		return err
	}
	problems := config.Problems
	if len(options) > 0 {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		more, err := askDownstream(ctx, config, s, stderr)
		if err != nil {
			return err
		}
		problems = append(problems, more...)
	}
	return tellProblems(config, problems, stdout)
}

// checkSettings reads the daemon's options behind "config check DIR".
func checkSettings(options []string, version, programs string, stderr io.Writer) (settings.Controller, error) {
	values, err := settings.ControllerTable(version).Parse(options, os.Environ())
	if err != nil {
		return settings.Controller{}, err
	}
	if len(values.Args) > 0 {
		return settings.Controller{}, usageError(fmt.Sprintf("what is %q? Only the daemon's options can be behind the directory", values.Args[0]))
	}
	for _, warning := range values.Warnings {
		fmt.Fprintf(stderr, "WARNING: %s\n", warning)
	}
	s, err := settings.NewController(values, false)
	if s.Adapters.Dir == "" {
		s.Adapters.Dir = programs
	}
	return s, err
}

// askDownstream starts the Downstream Host's adapter for one question.
func askDownstream(ctx context.Context, config *confgit.Config, s settings.Controller, stderr io.Writer) ([]core.Problem, error) {
	manager := adapter.NewManager(adapter.Options{
		Dir: s.Adapters.Dir, Log: hclog.New(&hclog.LoggerOptions{Name: "lorry-controller", Level: hclog.Off, Output: stderr}),
		ReadSecrets: func(_ context.Context, i adapter.Instance) (map[string]core.Secret, error) {
			return downstreamSecrets(i, s.Downstream)
		},
	})
	defer func() { _ = manager.Close(context.WithoutCancel(ctx)) }()
	instance := downstreamInstance(s.Downstream)
	tune(&instance, s.Adapters)
	if err := manager.Apply(ctx, []adapter.Instance{instance}); err != nil {
		return nil, err
	}
	return reconcile.CheckNames(ctx, func(ctx context.Context, paths []string) ([]core.PathVerdict, error) {
		return checkPaths(ctx, manager, paths)
	}, config)
}
