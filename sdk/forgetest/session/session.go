// Package session lets tests speak to an adapter in their own process as the
// core does: over the real protocol, configured, with the SDK's HTTP client
// and everything else that an adapter has in its life.
//
// It is for tests of adapters beside the conformance suite, and must not know
// any of them.
package session

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/host"
	"github.com/lorry-controller/lorry-controller/sdk/sdktest/suite"
)

// Session is an adapter that is served.
type Session struct {
	*host.Client
	logs    suite.Log
	conn    *grpc.ClientConn
	server  *grpc.Server
	serving sync.WaitGroup
}

// Describe asks an adapter what it is.
func Describe(ctx context.Context, p *sdk.Plugin) (host.Description, error) {
	s, err := Serve(p, host.NewClient)
	if err != nil {
		return host.Description{}, err
	}
	desc, err := s.Client.Describe(ctx)
	return desc, errors.Join(err, s.End())
}

// Open serves an adapter and configures it. Settings that can't be used are an
// error of kind sdk.Invalid that has all of their faults.
func Open(ctx context.Context, p *sdk.Plugin, settings host.Settings) (*Session, error) {
	s, err := Serve(p, host.NewClient)
	if err != nil {
		return nil, err
	}
	if err := s.configure(ctx, settings); err != nil {
		return nil, errors.Join(err, s.End())
	}
	return s, nil
}

// Serve serves an adapter that is not configured, behind host.NewClient or
// host.NewRawClient.
func Serve(p *sdk.Plugin, client func(grpc.ClientConnInterface, host.Deadlines) *host.Client) (*Session, error) {
	s := &Session{}
	log := hclog.New(&hclog.LoggerOptions{Output: &s.logs, Level: hclog.Trace, JSONFormat: true})
	listener := bufconn.Listen(1 << 20)
	s.server = grpc.NewServer(sdk.ServerOptions(log)...)
	sdk.Serve(p, s.server, log)
	s.serving.Go(func() { _ = s.server.Serve(listener) })
	var err error
	s.conn, err = grpc.NewClient("passthrough:adapter", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		s.server.Stop()
		s.serving.Wait()
		return nil, err
	}
	s.Client = client(s.conn, host.Deadlines{})
	return s, nil
}

// Logs gives what the adapter has logged so far, at every level, as JSON.
func (s *Session) Logs() string { return s.logs.String() }

func (s *Session) configure(ctx context.Context, settings host.Settings) error {
	diags, err := s.Configure(ctx, settings)
	if err != nil {
		return err
	}
	var faults []string
	for _, d := range diags {
		if d.Severity == sdk.SeverityError {
			faults = append(faults, fmt.Sprintf("%s: %s", d.Path, d.Summary))
		}
	}
	if len(faults) > 0 {
		return sdk.Errorf(sdk.Invalid, "the settings can't be used: %s", strings.Join(faults, "; "))
	}
	return nil
}

// End ends the session and waits until nothing of it runs.
func (s *Session) End() error {
	err := s.conn.Close()
	s.server.Stop()
	s.serving.Wait()
	return err
}
