package pgtest

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// Proxy stands before a database. It can go mute: it then takes what comes
// and answers nothing, as a network does whose router has died. It can also cut the
// connection over which the client speaks next.
type Proxy struct {
	listener net.Listener
	target   string // a unix socket or host:port
	mute     atomic.Bool
	turns    atomic.Int64 // how often the client spoke after the database
	spoke    atomic.Bool  // the client, last
	cut      atomic.Int32 // where to cut the connection
	wg       sync.WaitGroup
	mu       sync.Mutex
	conns    []net.Conn
}

func (p *Proxy) serve() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		network := "tcp"
		if filepath.IsAbs(p.target) {
			network = "unix"
		}
		up, err := net.Dial(network, p.target)
		if err != nil {
			_ = c.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, c, up)
		p.mu.Unlock()
		var over atomic.Bool
		p.wg.Go(func() { p.pipe(up, c, true, &over) })
		p.wg.Go(func() { p.pipe(c, up, false, &over) })
	}
}

// pipe passes on what one side says, until the connection is over: what the
// database answers after that reaches nobody.
func (p *Proxy) pipe(to io.WriteCloser, from io.Reader, client bool, over *atomic.Bool) {
	defer func() { _ = to.Close() }()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil || over.Load() {
			return
		}
		if p.spoke.Swap(client) != client && client {
			p.turns.Add(1)
		}
		if p.mute.Load() {
			continue
		}
		text, last := p.cutOff(buf[:n], client)
		if last {
			over.Store(true)
		}
		if _, err := to.Write(text); err != nil || last {
			return
		}
	}
}

// Cut is where a connection is cut over which the client asks something.
type Cut int32

// What Proxy.Cut takes.
const (
	cutNowhere  Cut = iota
	CutBefore       // the server gets nothing of it
	CutInside       // it gets a half
	CutBehind       // it gets all of it, and then finds nobody who listens
	CutAnswer       // it has answered, which nobody hears
	cutAwaiting     // what comes next is that answer
)

// Mute makes it go mute, or pass everything on again.
func (p *Proxy) Mute(on bool) { p.mute.Store(on) }

// Cut cuts the connection over which the client asks something next.
func (p *Proxy) Cut(where Cut) { p.cut.Store(int32(where)) }

// Turns is how often the client has spoken after the database.
func (p *Proxy) Turns() int64 { return p.turns.Load() }

// cutOff gives what is let through of what somebody says, and whether that is
// the end of the connection.
func (p *Proxy) cutOff(text []byte, client bool) ([]byte, bool) {
	if client && bytes.Contains(text, []byte("-- ping")) { // the pool asks only whether it lives
		return text, false
	}
	switch where := Cut(p.cut.Load()); {
	case client && where == CutAnswer:
		p.cut.Store(int32(cutAwaiting))
		return text, false
	case where == cutNowhere, client != (where != cutAwaiting):
		return text, false
	case where == CutInside:
		text = text[:len(text)/2]
	case where == CutBefore, where == cutAwaiting:
		text = nil
	}
	p.cut.Store(int32(cutNowhere))
	return text, true
}

// Close ends all connections, and the proxy.
func (p *Proxy) Close() {
	_ = p.listener.Close()
	p.mu.Lock()
	for _, c := range p.conns {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.wg.Wait()
}

// Before puts a proxy before the server in a URL, and gives the proxy's.
func Before(t testing.TB, dsn string) (string, *Proxy) {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	target := u.Host
	if dir := q.Get("host"); dir != "" {
		target = filepath.Join(dir, ".s.PGSQL."+q.Get("port"))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{listener: l, target: target}
	p.wg.Go(p.serve)
	t.Cleanup(p.Close)
	q.Del("host")
	q.Del("port")
	u.Host, u.RawQuery = l.Addr().String(), q.Encode()
	return u.String(), p
}
