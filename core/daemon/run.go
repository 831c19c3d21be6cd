package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/fcgi"
	"os"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/lorry-controller/lorry-controller/core/adapter"
	"github.com/lorry-controller/lorry-controller/core/minion"
)

// How long each part may take to stop before it is ended.
const (
	minionGrace  = 20 * time.Second
	serverGrace  = 10 * time.Second
	adapterGrace = 10 * time.Second
)

// Run serves until ctx ends or the server fails, then stops everything in
// order: upkeep and view first, so that nothing new begins; then the minions,
// which hand their jobs back over the API; then the API; then what New opened.
func (d *Daemon) Run(ctx context.Context) error {
	defer d.close()
	d.served = true
	failed := make(chan error, 1)
	stopServer := d.startServer(failed)
	d.announce()

	working, stopWorking := context.WithCancel(ctx)
	defer stopWorking()
	var work, minions sync.WaitGroup
	upkeep := d.upkeep()
	work.Go(func() { upkeep.run(working) })
	work.Go(func() { d.keepFollowing(working) })
	work.Go(func() { d.checkDownstream(working) })
	work.Go(func() { d.reloadOnHangup(working) })
	if d.opts.Terminal {
		work.Go(func() { d.view().run(working) })
	}
	minionsCtx, stopMinions := context.WithCancel(ctx)
	defer stopMinions()
	minions.Go(func() { d.runMinions(minionsCtx) })

	var err error
	select {
	case <-ctx.Done():
		d.log.Info("stopping")
	case err = <-failed:
	}
	stopWorking()
	stopMinions()
	minions.Wait()
	work.Wait()
	d.resign(context.WithoutCancel(ctx))
	stopServer(context.WithoutCancel(ctx))
	return err
}

// startServer serves HTTP, or FastCGI on standard input as the original did
// with wsgi = yes. The function that it gives stops the server.
func (d *Daemon) startServer(failed chan<- error) (stop func(context.Context)) {
	if d.config.WSGI {
		return d.startFastCGI(failed)
	}
	server := d.server.HTTPServer()
	serve := func() error { return server.Serve(d.listener) }
	if d.certificates != nil {
		server.TLSConfig = d.certificates.server()
		serve = func() error { return server.ServeTLS(d.listener, "", "") }
	}
	go func() {
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			failed <- fmt.Errorf("serving HTTP: %w", err)
		}
	}()
	return func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, serverGrace)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			d.log.Warn("closing connections that did not end", "err", err)
			_ = server.Close()
		}
		if err := d.server.Close(ctx); err != nil {
			d.log.Warn("what the API did in the background was cut off", "err", err)
		}
	}
}

func (d *Daemon) startFastCGI(failed chan<- error) (stop func(context.Context)) {
	socket, err := net.FileListener(os.Stdin)
	if err != nil {
		failed <- fmt.Errorf("wsgi = yes needs the web server's FastCGI socket on standard input: %w", err)
		return func(context.Context) {}
	}
	stopping := make(chan struct{})
	go func() {
		err := fcgi.Serve(socket, d.server.Handler())
		select {
		case <-stopping:
		default:
			failed <- fmt.Errorf("serving FastCGI: %w", err)
		}
	}()
	return func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, serverGrace)
		defer cancel()
		close(stopping)
		d.server.Drain()
		socket.Close()
		if err := d.server.Close(ctx); err != nil {
			d.log.Warn("what the API did in the background was cut off", "err", err)
		}
	}
}

// announce tells where the page is.
func (d *Daemon) announce() {
	address := d.address()
	d.log.Info("serving", "address", address, "version", d.opts.Version, "data", d.config.Data,
		"downstream", describeDownstream(d.config.Downstream))
	if d.config.Embedded && !d.opts.Terminal {
		fmt.Fprintf(d.opts.Stdout, "Lorry Controller is at %s/1.0/status-html\n", address)
	}
}

// checkDownstream looks at the Downstream Host once, so that wrong settings are
// told at the start and not with the first job.
func (d *Daemon) checkDownstream(ctx context.Context) {
	if err := d.adapters.Check(ctx, adapter.DownstreamName); err != nil && ctx.Err() == nil {
		d.logAdapters(err)
	}
}

func (d *Daemon) view() *view {
	return &view{
		source: d.queue, out: d.opts.Stdout, address: d.address() + "/1.0/status-html", logFile: d.logFile, clock: time.Now,
		width: func() int {
			if f, ok := d.opts.Stdout.(*os.File); ok {
				if width, _, err := term.GetSize(int(f.Fd())); err == nil {
					return width
				}
			}
			return 80
		},
	}
}

// runMinions runs the minions of this process. They use the API like any other
// minion, so that there is one way only.
func (d *Daemon) runMinions(ctx context.Context) {
	if d.config.Minions == 0 {
		return
	}
	err := minion.Run(ctx, d.minionOptions())
	if err != nil && ctx.Err() == nil {
		d.log.Error("the minions of this process have stopped: jobs wait for others", "err", err)
	}
}
