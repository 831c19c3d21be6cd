package statedb_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb"
)

// mutable is a proxy before a database that can go mute: it then takes what
// comes and answers nothing, as a network does whose router has died. It can also
// cut the connection over which the client speaks next.
type mutable struct {
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

func (m *mutable) serve() {
	for {
		c, err := m.listener.Accept()
		if err != nil {
			return
		}
		network := "tcp"
		if filepath.IsAbs(m.target) {
			network = "unix"
		}
		up, err := net.Dial(network, m.target)
		if err != nil {
			_ = c.Close()
			continue
		}
		m.mu.Lock()
		m.conns = append(m.conns, c, up)
		m.mu.Unlock()
		m.wg.Go(func() { m.pipe(up, c, true) })
		m.wg.Go(func() { m.pipe(c, up, false) })
	}
}

func (m *mutable) pipe(to io.WriteCloser, from io.Reader, client bool) {
	defer func() { _ = to.Close() }()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if m.spoke.Swap(client) != client && client {
			m.turns.Add(1)
		}
		if m.mute.Load() {
			continue
		}
		text, over := m.cutOff(buf[:n], client)
		if _, err := to.Write(text); err != nil || over {
			return
		}
	}
}

// Where the connection is cut over which the client asks something next.
const (
	cutNowhere  int32 = iota
	cutBefore         // the server gets nothing of it
	cutInside         // it gets a half
	cutBehind         // it gets all of it, and then finds nobody who listens
	cutAnswer         // it has answered, which nobody hears
	cutAwaiting       // what comes next is that answer
)

// cutOff gives what is let through of what somebody says, and whether that is
// the end of the connection.
func (m *mutable) cutOff(text []byte, client bool) ([]byte, bool) {
	if client && bytes.Contains(text, []byte("-- ping")) { // the pool asks only whether it lives
		return text, false
	}
	switch where := m.cut.Load(); {
	case client && where == cutAnswer:
		m.cut.Store(cutAwaiting)
		return text, false
	case where == cutNowhere, client != (where != cutAwaiting):
		return text, false
	case where == cutInside:
		text = text[:len(text)/2]
	case where == cutBefore, where == cutAwaiting:
		text = nil
	}
	m.cut.Store(cutNowhere)
	return text, true
}

func (m *mutable) close() {
	_ = m.listener.Close()
	m.mu.Lock()
	for _, c := range m.conns {
		_ = c.Close()
	}
	m.mu.Unlock()
	m.wg.Wait()
}

// before puts a mutable proxy before the server in a URL.
func before(t *testing.T, dsn string) (string, *mutable) {
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
	m := &mutable{listener: l, target: target}
	m.wg.Go(m.serve)
	t.Cleanup(m.close)
	q.Del("host")
	q.Del("port")
	u.Host, u.RawQuery = l.Addr().String(), q.Encode()
	return u.String(), m
}

func TestAMutePostgreSQLEndsEveryCallAndIsFoundAgain(t *testing.T) {
	t.Parallel()
	dsn, proxy := before(t, postgres(t))
	db, err := statedb.Open(t.Context(), statedb.Options{URL: dsn, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		proxy.close() // pgx waits a while for connections that it gave up
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	q := queue.New(queue.Options{Store: db})
	if _, err := q.Status(t.Context()); err != nil {
		t.Fatal(err)
	}
	proxy.mute.Store(true)
	// Without a deadline of their own these would wait for ever.
	ctx := context.Background()
	calls := map[string]func() error{
		"read":  func() error { _, err := q.Status(ctx); return err },
		"write": func() error { return q.SetRunning(ctx, false) },
		"claim": func() error { _, err := q.Claim(ctx, queue.ClaimParams{Minion: "m"}); return err },
		"lead":  func() error { _, _, err := db.TryLead(ctx, "one", time.Minute); return err },
		"ping":  func() error { return db.Ping(ctx) },
	}
	var wg sync.WaitGroup
	for name, call := range calls {
		wg.Go(func() {
			if err := call(); err == nil || core.KindOf(err) != core.KindUnavailable {
				t.Errorf("%s: want an unavailable database, got %v", name, err)
			}
		})
	}
	wg.Wait()
	proxy.mute.Store(false)
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := errors.Join(db.Ping(ctx), q.SetRunning(ctx, true))
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is not found again: %v", err)
		}
	}
}
