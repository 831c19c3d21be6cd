package route

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Relay is a forward proxy on loopback for the programs of one job. It alone
// looks names up and knows the operator's proxy. Whoever uses it shows a token
// that is worth nothing once the relay is closed.
type Relay struct {
	route     Route
	address   string
	token     string
	server    *http.Server
	transport *http.Transport

	mu      sync.Mutex
	refused error
	tunnels map[net.Conn]struct{}
	closed  bool
	wait    sync.WaitGroup
}

// tokenUser is the user name to the token: some programs want one.
const tokenUser = "lorry"

// Relay starts a relay. Close ends it.
func (r Route) Relay(ctx context.Context) (*Relay, error) {
	transport := r.Transport(false)
	// What a program asked for is what it gets.
	transport.DisableCompression = true
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("no relay to the network: %w", err)
	}
	l := &Relay{route: r, transport: transport, token: rand.Text(), address: listener.Addr().String(), tunnels: make(map[net.Conn]struct{})}
	l.server = &http.Server{
		Handler: l, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0),
	}
	l.wait.Go(func() { _ = l.server.Serve(listener) })
	return l, nil
}

// URL is the relay's address with its token, as programs take a proxy's.
func (l *Relay) URL() string {
	return (&url.URL{Scheme: "http", User: url.UserPassword(tokenUser, l.token), Host: l.address}).String()
}

// Address is the relay's HOST:PORT.
func (l *Relay) Address() string { return l.address }

// Token is the password for the user "lorry".
func (l *Relay) Token() string { return l.token }

// Refused gives why a connection was refused last (ErrDenied, ErrProxyAuth), or
// nil. The program itself only knows that there was none.
func (l *Relay) Refused() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refused
}

// Close ends every connection and waits for all that the relay started.
func (l *Relay) Close() {
	l.mu.Lock()
	l.closed = true
	for conn := range l.tunnels {
		_ = conn.Close()
	}
	l.mu.Unlock()
	_ = l.server.Close()
	l.wait.Wait()
	l.transport.CloseIdleConnections()
}

// ServeHTTP implements http.Handler.
func (l *Relay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	given, _ := strings.CutPrefix(req.Header.Get("Proxy-Authorization"), "Basic ")
	want := base64.StdEncoding.EncodeToString([]byte(tokenUser + ":" + l.token))
	if subtle.ConstantTimeCompare([]byte(given), []byte(want)) != 1 {
		w.Header().Set("Proxy-Authenticate", `Basic realm="lorry"`)
		http.Error(w, "the token of this job is wanted", http.StatusProxyAuthRequired)
		return
	}
	if !l.begin() {
		return
	}
	defer l.wait.Done()
	if req.Method == http.MethodConnect {
		l.connect(w, req)
		return
	}
	if req.URL.Scheme != "http" || req.URL.Host == "" {
		http.Error(w, "this is a proxy", http.StatusBadRequest)
		return
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(p *httputil.ProxyRequest) { p.Out.Host = p.In.Host },
		Transport:     l.transport,
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, "no connection: "+err.Error(), l.status(err))
		},
		ModifyResponse: func(resp *http.Response) error {
			if resp.StatusCode == http.StatusProxyAuthRequired {
				return ErrProxyAuth
			}
			return nil
		},
	}
	proxy.ServeHTTP(w, req)
}

// status words an error for the program and keeps why it was refused.
func (l *Relay) status(err error) int {
	if !errors.Is(err, ErrDenied) && !errors.Is(err, ErrProxyAuth) {
		return http.StatusBadGateway
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused = err
	return http.StatusForbidden
}

// connect opens a tunnel and passes bytes on in both directions.
func (l *Relay) connect(w http.ResponseWriter, req *http.Request) {
	out, err := l.tunnel(req.Context(), req.Host)
	if err != nil {
		http.Error(w, "no connection: "+err.Error(), l.status(err))
		return
	}
	defer func() { _ = out.Close() }()
	in, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer func() { _ = in.Close() }()
	if !l.keep(in, out) {
		return
	}
	defer l.drop(in, out)
	if _, err := io.WriteString(in, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(out, buffered)
		closeWrite(out)
	}()
	_, _ = io.Copy(in, out)
	closeWrite(in)
	// A program that has read everything closes its end; one that does not is
	// ended with its job, by Close.
	<-done
}

// begin counts a request that Close waits for; false when it is too late.
func (l *Relay) begin() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.wait.Add(1)
	}
	return !l.closed
}

// keep notes connections that Close must end; false when it is too late.
func (l *Relay) keep(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range conns {
		l.tunnels[c] = struct{}{}
	}
	return !l.closed
}

func (l *Relay) drop(conns ...net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range conns {
		delete(l.tunnels, c)
	}
}

func closeWrite(c net.Conn) {
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
		return
	}
	_ = c.Close()
}

// tunnel connects to host:port, directly or through the operator's proxy.
func (l *Relay) tunnel(ctx context.Context, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	target := &url.URL{Scheme: "https", Host: address}
	via, err := l.route.Proxy((&http.Request{URL: target}).WithContext(ctx))
	if err != nil {
		return nil, err
	}
	if via == nil {
		return l.route.DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	}
	return l.route.through(ctx, via, address)
}
