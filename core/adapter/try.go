package adapter

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/sdk/host"
	"github.com/lorry-controller/lorry-controller/sdk/sdktest/suite"
)

// trial is the file that describes the hosts a program is tried on:
//
//	{"upstream":   {"settings": {…}, "secrets": {…}}, "repos": ["a/b", …],
//	 "downstream": {"settings": {…}, "secrets": {…}}, "prefix": "conform",
//	 "max-depth": 2, "refused": ["conform/reserved", …]}
type trial struct {
	Upstream   trialHost `json:"upstream"`
	Repos      []string  `json:"repos"`
	Downstream trialHost `json:"downstream"`
	Prefix     string    `json:"prefix"`
	MaxDepth   int       `json:"max-depth"`
	Refused    []string  `json:"refused"`
}

type trialHost struct {
	Settings map[string]any    `json:"settings"`
	Secrets  map[string]string `json:"secrets"`
}

// TryProgram runs the conformance suite against a built adapter, in whatever
// language it was written. file is the JSON that describes the hosts to try it
// on (see trial); the suite makes repositories on the Downstream Host below the
// prefix. report is called after each case, with nil for one that passed. The
// error says that the program can't be tried, or how many cases failed.
func TryProgram(ctx context.Context, path string, file []byte, report func(name string, err error)) error {
	var t trial
	decoder := json.NewDecoder(bytes.NewReader(file))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&t); err != nil {
		return core.Errorf(core.KindInvalid, "the file with the settings is not what is wanted: %w", err)
	}
	fixture := suite.Fixture{
		Upstream: suite.Host(t.Upstream), Repos: t.Repos, Downstream: suite.Host(t.Downstream), Prefix: t.Prefix,
		MaxDepth: t.MaxDepth, Refused: t.Refused,
	}
	launcher := host.NewLauncher()
	defer launcher.Close()
	began, err := suite.Begin(ctx, suite.OpenProgram(launcher, path), fixture)
	if err != nil {
		return fmt.Errorf("the program can't be tried: %w", err)
	}
	tried, failed := 0, 0
	count := func(name string, err error) {
		report(name, err)
		if tried++; err != nil {
			failed++
		}
	}
	for _, c := range suite.Cases() {
		if !began.Applies(c) {
			continue
		}
		count(c.Name, began.Run(ctx, c))
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	for _, c := range suite.ProgramCases() {
		count(c.Name, c.Run(ctx, launcher, path))
	}
	if failed > 0 {
		return core.Errorf(core.KindInvalid, "%d of %d cases failed", failed, tried)
	}
	return nil
}
