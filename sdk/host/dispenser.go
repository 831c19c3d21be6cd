package host

import (
	"context"
	"errors"
	"net/rpc"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// dispenser is go-plugin's view of the core's side: it gives the connection,
// and the facade of the version makes a client of it.
type dispenser struct{}

var (
	_             plugin.GRPCPlugin = (*dispenser)(nil)
	errClientOnly                   = errors.New("only the gRPC client side is here")
)

// GRPCClient implements plugin.GRPCPlugin.
func (*dispenser) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return conn, nil
}

// GRPCServer implements plugin.GRPCPlugin.
func (*dispenser) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return errClientOnly }

// Server implements plugin.Plugin.
func (*dispenser) Server(*plugin.MuxBroker) (any, error) { return nil, errClientOnly }

// Client implements plugin.Plugin.
func (*dispenser) Client(*plugin.MuxBroker, *rpc.Client) (any, error) { return nil, errClientOnly }
