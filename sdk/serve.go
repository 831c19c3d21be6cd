package sdk

import (
	"context"
	"net/rpc"
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/lorry-controller/lorry-controller/sdk/internal/wire"
)

// Main is the whole main function of an adapter. Started by the core, it
// serves; started by hand, it answers describe, check, version and -debug. It
// does not return.
func Main(p *Plugin) {
	if os.Getenv(wire.CookieKey) == wire.CookieValue {
		plugin.Serve(serveConfig(&served{plugin: p, log: newLogger()}))
		os.Exit(0)
	}
	os.Exit(byHand(context.Background(), p, os.Args[1:], os.Stdout, os.Stderr))
}

// newLogger makes the logger that the core reads on stderr.
func newLogger() hclog.Logger {
	level := hclog.LevelFromString(os.Getenv(wire.LogLevelKey))
	if level == hclog.NoLevel {
		level = hclog.Info
	}
	return hclog.New(&hclog.LoggerOptions{Level: level, Output: os.Stderr, JSONFormat: true})
}

func serveConfig(s *served) *plugin.ServeConfig {
	return &plugin.ServeConfig{
		HandshakeConfig: wire.Handshake(),
		VersionedPlugins: map[int]plugin.PluginSet{
			1: {wire.PluginName: s},
		},
		Logger: s.log,
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, interceptors(s.log)...)...)
		},
	}
}

// served is go-plugin's view of an adapter.
type served struct {
	plugin *Plugin
	log    hclog.Logger
	debug  bool
}

var _ plugin.GRPCPlugin = (*served)(nil)

// GRPCServer implements plugin.GRPCPlugin.
func (s *served) GRPCServer(_ *plugin.GRPCBroker, server *grpc.Server) error {
	s.plugin.register(server, s.log).debug = s.debug
	return nil
}

// GRPCClient implements plugin.GRPCPlugin; an adapter is never a client.
func (s *served) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, Errorf(Unsupported, "an adapter has no client side")
}

// Server implements plugin.Plugin; net/rpc is not spoken.
func (s *served) Server(*plugin.MuxBroker) (any, error) {
	return nil, Errorf(Unsupported, "adapters speak gRPC alone")
}

// Client implements plugin.Plugin; net/rpc is not spoken.
func (s *served) Client(*plugin.MuxBroker, *rpc.Client) (any, error) {
	return nil, Errorf(Unsupported, "adapters speak gRPC alone")
}

// Serve serves one session of the adapter on a gRPC server of the caller's: the
// protocol without the process. The conformance suite uses it.
func Serve(p *Plugin, server *grpc.Server, log hclog.Logger) { p.register(server, log) }

// ServerOptions gives the options that a server for Serve needs.
func ServerOptions(log hclog.Logger) []grpc.ServerOption { return interceptors(log) }
