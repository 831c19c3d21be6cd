package host

import (
	"context"
	"net"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/internal/wire"
)

// Attached is an adapter that somebody else has started, for a debugger. It is
// left running.
type Attached struct {
	*Client

	path string
	conn *grpc.ClientConn
	once sync.Once
	done chan struct{}
}

// Attach connects to an adapter that serves with -debug. The address is what
// that prints: "unix|PATH". Deadlines are an hour, for breakpoints.
func Attach(address string) (*Attached, error) {
	path, ok := strings.CutPrefix(address, "unix|")
	if !ok || !strings.HasPrefix(path, "/") {
		return nil, sdk.Errorf(sdk.Invalid, "the address %q of a running adapter is not unix|/PATH", address)
	}
	conn, err := grpc.NewClient("unix:"+path, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(wire.MaxMessage)))
	if err != nil {
		return nil, sdk.Errorf(sdk.Invalid, "can't connect to %q: %w", address, err)
	}
	const d = time.Hour
	patient := Deadlines{
		Describe: d, Validate: d, Configure: d, Check: d, Close: d, Page: d, Listing: d,
		Repo: d, Ensure: d, After: d, Retire: d, Paths: d,
	}
	return &Attached{Client: NewClient(conn, patient), path: path, conn: conn, done: make(chan struct{})}, nil
}

// PID is 0: the process is not ours.
func (a *Attached) PID() int { return 0 }

// Done is closed by Kill alone; a process that ended fails its health checks.
func (a *Attached) Done() <-chan struct{} { return a.done }

// Exit says that nothing is known.
func (a *Attached) Exit() string { return "not started by the core" }

// Healthy looks whether somebody still listens. The process may stand still at
// a breakpoint, so it is not asked for an answer.
func (a *Attached) Healthy(ctx context.Context) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", a.path)
	if err != nil {
		return err
	}
	return conn.Close()
}

// Kill lets go of the process.
func (a *Attached) Kill(time.Duration) {
	a.once.Do(func() {
		_ = a.conn.Close()
		close(a.done)
	})
}
