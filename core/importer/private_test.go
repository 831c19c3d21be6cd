package importer

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/route"
	"github.com/lorry-controller/lorry-controller/core/spec"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// names is a resolver that gives each name's answers in turn, the last one
// from then on. What it does not know does not exist.
type names struct{ *answers }

type answers struct {
	mu    sync.Mutex
	turns map[string][]string // each turn: addresses with blanks between
}

func (n names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	if n.answers == nil {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	turns := n.turns[strings.TrimSuffix(host, ".")]
	if len(turns) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	if len(turns) > 1 {
		n.turns[strings.TrimSuffix(host, ".")] = turns[1:]
	}
	var addrs []netip.Addr
	for text := range strings.FieldsSeq(turns[0]) {
		addrs = append(addrs, netip.MustParseAddr(text))
	}
	return addrs, nil
}

func newNames(turns map[string][]string) names { return names{&answers{turns: turns}} }

// canary counts connections to every address of this machine at one port.
func canary(t *testing.T) (port string, hits *atomic.Int32) {
	t.Helper()
	hits = new(atomic.Int32)
	first, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ = net.SplitHostPort(first.Addr().String())
	listeners := []net.Listener{first}
	if six, err := net.Listen("tcp", "[::1]:"+port); err == nil {
		listeners = append(listeners, six)
	}
	for _, l := range listeners {
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				hits.Add(1)
				_ = c.Close()
			}
		}()
		t.Cleanup(func() { _ = l.Close() })
	}
	return port, hits
}

// privateHosts are names and addresses that lead into this network, one way or
// another.
func privateHosts() (hosts []string, resolver names) {
	turns := map[string][]string{
		"plain.test": {"127.0.0.1"}, "mixed.test": {"93.184.216.34 127.0.0.1"}, "six.test": {"::1"}, "mapped.test": {"::ffff:127.0.0.1"},
		"both.test": {"2606:2800:220:1::1 10.1.2.3"}, "metadata.test": {"169.254.169.254"}, "shared.test": {"100.64.0.1"}, "any.test": {"0.0.0.0"},
		"nat64.test": {"64:ff9b::7f00:1"}, "sixtofour.test": {"2002:7f00:1::1"}, "unique.test": {"fd00::1"}, "link.test": {"fe80::1"}, "site.test": {"fec0::1"},
		"compat.test": {"::127.0.0.1"}, "multicast.test": {"224.0.0.1"}, "broadcast.test": {"255.255.255.255"}, "bench.test": {"198.18.0.1"},
		// What some system resolvers make of odd spellings.
		"2130706433": {"127.0.0.1"}, "0x7f000001": {"127.0.0.1"}, "0177.0.0.1": {"127.0.0.1"}, "127.1": {"127.0.0.1"}, "localhost": {"127.0.0.1"}, "foo.localhost": {"127.0.0.1"},
	}
	for host := range turns {
		hosts = append(hosts, host)
	}
	hosts = append(hosts, "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "[0:0:0:0:0:ffff:7f00:1]", "0.0.0.0", "[::]", "127.9.9.9", "10.0.0.1", "192.168.1.1", "172.16.0.1", "plain.test.", "LOCALHOST")
	return hosts, newNames(turns)
}

// deny makes the world refuse private addresses but 127.0.0.2, where servers of
// a test stand for the world outside.
func (w *world) deny(resolver route.Resolver) {
	w.opts.Route = route.Route{DenyPrivate: true, Allow: "127.0.0.2", Resolver: resolver}
}

// TestPrivateAddressesAreNotReached tries every way into this network with
// every kind of source. The canary is never touched.
func TestPrivateAddressesAreNotReached(t *testing.T) {
	t.Parallel()
	port, hits := canary(t)
	hosts, resolver := privateHosts()
	for _, test := range []struct {
		kind spec.Type
		url  string // %s: HOST:PORT
	}{
		{spec.Git, "http://%s/thing.git"},
		{spec.Git, "https://%s/thing.git"},
		{spec.Git, "ssh://git@%s/thing.git"},
		{spec.Git, "git://%s/thing.git"},
		{spec.Svn, "http://%s/svn"},
		{spec.Svn, "https://%s/svn"},
		{spec.Svn, "svn://%s/svn"},
		{spec.Svn, "svn+ssh://%s/svn"},
		{spec.Tarball, "http://%s/x-1.tar"},
		{spec.Tarball, "https://%s/x-1.tar"},
		{spec.Zip, "http://%s/x-1.zip"},
		{spec.Hg, "ssh://hg@%s/x"},
		{spec.Cvs, ":pserver:anonymous@%s/cvs"},
		{spec.Bzr, "bzr://%s/x"},
		{spec.Bzr, "bzr+ssh://%s/x"},
		{spec.Bzr, "http://%s/x"},
		{spec.RawFile, "http://%s/x"},
	} {
		t.Run(string(test.kind)+" "+strings.SplitN(test.url, "%", 2)[0], func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.deny(resolver)
			for _, host := range hosts {
				w.opts.Spec = spec.Spec{Name: "group/thing", Type: test.kind, Module: "m", Access: core.Access{URL: fmt.Sprintf(test.url, host+":"+port)}}
				if test.kind == spec.RawFile {
					w.opts.Spec.Files = []spec.File{{Access: w.opts.Spec.Access, Destination: "d"}}
				}
				if report := w.run(); report.Exit == ExitDone {
					t.Errorf("%s was reached", w.opts.Spec.Access.URL)
				}
			}
		})
	}
	t.Run("hg http", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.deny(resolver)
		for _, host := range []string{"127.0.0.1", "localhost", "[::1]", "mixed.test", "2130706433", "plain.test."} {
			w.opts.Spec = spec.Spec{Name: "group/thing", Type: spec.Hg, Access: core.Access{URL: "http://" + host + ":" + port + "/"}}
			w.mustFail(core.FailSpec)
		}
	})
	t.Cleanup(func() {
		if n := hits.Load(); n != 0 {
			t.Errorf("the canary was touched %d times", n)
		}
	})
}

// TestARedirectInward lets a server that may be reached send each kind of
// source on to one that may not.
func TestARedirectInward(t *testing.T) {
	t.Parallel()
	for _, kind := range kindsOverHTTP() {
		t.Run(string(kind.kind), func(t *testing.T) {
			t.Parallel()
			port, hits := canary(t)
			w := newWorld(t)
			w.deny(newNames(map[string][]string{"outside.test": {"127.0.0.2"}}))
			outside := outsideServer(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				http.Redirect(rw, r, "http://127.0.0.1:"+port+r.URL.RequestURI(), http.StatusTemporaryRedirect)
			}))
			w.opts.Spec = spec.Spec{Name: "group/thing", Type: kind.kind, Access: core.Access{URL: "http://outside.test:" + outside + kind.path}}
			if report := w.run(); report.Exit == ExitDone || hits.Load() > 0 {
				t.Errorf("the redirect was followed: %+v", report.Failure)
			}
		})
	}
}

// outsideServer listens on 127.0.0.2 and gives its port.
func outsideServer(t *testing.T, h http.Handler) (port string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Skipf("no second loopback address: %v", err)
	}
	s := httptest.NewUnstartedServer(h)
	_ = s.Listener.Close()
	s.Listener = l
	s.Start()
	t.Cleanup(s.Close)
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port
}

// TestANameThatChangesItsMind gives an address that may be reached for the
// check, and one that may not from the second look on.
func TestANameThatChangesItsMind(t *testing.T) {
	t.Parallel()
	for turns := range 8 {
		w := newWorld(t)
		backend, err := gittest.Backend(filepath.Join(w.dir, "up"))
		if err != nil {
			t.Fatal(err)
		}
		port := outsideServer(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Connection", "close") // each request looks the name up again
			backend.ServeHTTP(rw, r)
		}))
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		var hits atomic.Int32
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				hits.Add(1)
				_ = c.Close()
			}
		}()
		answers := []string{}
		for range turns {
			answers = append(answers, "127.0.0.2")
		}
		w.deny(newNames(map[string][]string{"rebind.test": append(answers, "127.0.0.1")}))
		w.opts.Spec.Access.URL = "http://rebind.test:" + port + "/thing.git"
		if report := w.run(); report.Exit != ExitDone && report.Failure.Kind != core.FailSpec || report.Exit == ExitDone && turns < 2 {
			t.Errorf("%d turns: %+v", turns, report)
		}
		_ = l.Close()
		if n := hits.Load(); n > 0 {
			t.Errorf("%d turns: the private address was reached %d times", turns, n)
		}
	}
}

// TestPinnedConnections imports over ssh and git:// from an address that was
// looked up once, whose name nobody else knows.
func TestPinnedConnections(t *testing.T) {
	t.Parallel()
	for address, want := range map[string][3]string{
		"ssh://git@h.test:2222/x": {"ssh", "h.test", "2222"}, "git@h.test:x": {"ssh", "h.test", "22"}, "git://h.test/x": {"git", "h.test", "9418"},
		"svn+ssh://h.test/x": {"ssh", "h.test", "22"}, ":ext:me@h.test:/cvs": {"ssh", "h.test", "22"}, "me@h.test:/cvs": {"ssh", "h.test", "22"},
		":pserver:me@h.test:/cvs": {"pserver", "", ""}, ":pserver;proxy=x:me@h.test:/cvs": {"pserver", "", ""}, "/srv/x": {"", "", ""}, "lp:x": {"https", "", ""},
		"ssh://[::1]:7/x": {"ssh", "::1", "7"}, "svn://h.test/x": {"svn", "h.test", ""},
	} {
		kind, host, port := endpoint(address)
		if got := [3]string{kind, host, port}; got != want {
			t.Errorf("%s: want %q, got %q", address, want, got)
		}
	}
}

// TestPinnedSSH connects to the address that was found for a name, and knows
// the host by that name.
func TestPinnedSSH(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	port, keys, known := sshServer(t)
	knownFile := filepath.Join(w.dir, "known")
	if err := os.WriteFile(knownFile, []byte(strings.Replace(known, "127.0.0.1", "h.test", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	git, err := childproc.NewGit(childproc.GitOptions{
		Home: filepath.Join(w.dir, "ssh-home"), Grace: time.Second,
		SSHIdentities: map[string]string{"h.test": filepath.Join(keys, "id_ed25519")}, SSHKnownHosts: map[string]string{"h.test": knownFile},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.opts.Git = git
	w.opts.Route = route.Route{DenyPrivate: true, Allow: "h.test", Resolver: newNames(map[string][]string{"h.test": {"127.0.0.1"}})}
	user := os.Getenv("USER")
	if os.Geteuid() == 0 {
		user = "root"
	}
	w.opts.Spec.Access.URL = fmt.Sprintf("ssh://%s@h.test:%d%s", user, port, w.up.Dir)
	w.mustRun()
	w.mustEqual()
	if err := os.WriteFile(knownFile, []byte(known), 0o600); err != nil {
		t.Fatal(err)
	}
	w.up.Commit("refs/heads/main", "more")
	w.mustFail(core.FailHostKey)
}
