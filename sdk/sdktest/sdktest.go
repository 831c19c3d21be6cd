// Package sdktest tries adapters: whatever the core asks of one is asked here,
// over the real protocol. An adapter's test is one line:
//
//	func TestConformance(t *testing.T) { sdktest.Conform(t, example.Plugin(), fixture(t)) }
//
// Beside the suite, an author's own tests speak to an adapter with Open and
// build its program with Build. It is for tests alone and must not be imported
// by a program; package suite has the cases without the testing package.
package sdktest

import (
	"context"
	"testing"

	"go.uber.org/goleak"

	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/session"
	"github.com/lorry-controller/lorry-controller/sdk/host"
	"github.com/lorry-controller/lorry-controller/sdk/sdktest/suite"
)

// Fixture is the hosts that an adapter is tried on.
type Fixture = suite.Fixture

// Host is what an adapter is configured with to reach a host.
type Host = suite.Host

// Conform tries an adapter in this process. Each case has a session of its
// own. Call it from a test that is not parallel: it looks for goroutines that
// the adapter leaves behind.
func Conform(t *testing.T, p *sdk.Plugin, fx Fixture) {
	t.Helper()
	for _, problem := range p.Problems() {
		t.Error(problem)
	}
	if t.Failed() {
		return
	}
	open := func(context.Context) (*suite.Conn, error) { return inProcess(p) }
	t.Run("leaves no goroutine behind", func(t *testing.T) { leavesNothing(t, open, fx) })
	conform(t, open, fx)
}

// leavesNothing runs the cases that use most of an adapter and looks for
// goroutines. Cases that make hosts are left out: those go on until the
// author's test ends.
func leavesNothing(t *testing.T, open suite.Open, fx Fixture) {
	fx.Seed = nil
	before := goleak.IgnoreCurrent()
	trial, err := suite.Begin(t.Context(), open, fx)
	if err != nil {
		t.Fatalf("the adapter can't be tried: %v", err)
	}
	for _, c := range suite.Cases() {
		if trial.Applies(c) && c.Leaks {
			// What is wrong with it is told by its own test.
			_ = trial.Run(t.Context(), c)
		}
	}
	if err := goleak.Find(before); err != nil {
		t.Errorf("goroutines are left after Close: %v", err)
	}
}

// ConformBinary tries a built adapter, in whatever language it was written. Its
// name must be lorry-adapter-TYPE.
func ConformBinary(t *testing.T, path string, fx Fixture) {
	t.Helper()
	launcher := host.NewLauncher()
	defer launcher.Close()
	conform(t, suite.OpenProgram(launcher, path), fx)
	for _, c := range suite.ProgramCases() {
		t.Run(c.Name, func(t *testing.T) {
			if err := c.Run(t.Context(), launcher, path); err != nil {
				t.Error(err)
			}
		})
	}
}

func conform(t *testing.T, open suite.Open, fx Fixture) {
	t.Helper()
	trial, err := suite.Begin(t.Context(), open, fx)
	if err != nil {
		t.Fatalf("the adapter can't be tried: %v", err)
	}
	for _, c := range suite.Cases() {
		if !trial.Applies(c) {
			continue
		}
		t.Run(c.Name, func(t *testing.T) {
			if err := trial.Run(t.Context(), c); err != nil {
				t.Error(err)
			}
		})
	}
}

// inProcess serves one session over a connection in memory.
func inProcess(p *sdk.Plugin) (*suite.Conn, error) {
	s, err := session.Serve(p, host.NewRawClient)
	if err != nil {
		return nil, err
	}
	return &suite.Conn{Client: s.Client, Logs: s.Logs, Stop: s.End}, nil
}
