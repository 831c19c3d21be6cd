package forges

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/integration/gittest"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/giteafake"
)

// interval is how often the Lorries of the good host are to run.
const interval = 2 * time.Second

// visits are the times at which each repository was looked at.
type visits struct {
	next http.Handler
	mu   sync.Mutex
	at   map[string][]time.Time
}

func (v *visits) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// A server that is known is not asked first what it can: the list of refs
	// is what every look asks for.
	if path, ok := strings.CutSuffix(r.URL.Path, "/git-upload-pack"); ok {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if bytes.Contains(body, []byte("command=ls-refs")) {
			v.mu.Lock()
			v.at[path] = append(v.at[path], time.Now())
			v.mu.Unlock()
		}
	}
	v.next.ServeHTTP(w, r)
}

func (v *visits) count() (least int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, list := range v.at {
		if least == 0 || len(list) < least {
			least = len(list)
		}
	}
	return least
}

// lateness gives by how much later than the interval the looks came, in order.
func (v *visits) lateness() []time.Duration {
	v.mu.Lock()
	defer v.mu.Unlock()
	var all []time.Duration
	for _, list := range v.at {
		for i := 1; i < len(list); i++ {
			all = append(all, list[i].Sub(list[i-1])-interval)
		}
	}
	slices.Sort(all)
	return all
}

// hang answers nothing until the test ends.
func hang(t *testing.T) http.Handler {
	end, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-end.Done():
		}
	})
}

// trickle answers one byte a second.
func trickle(t *testing.T) http.Handler {
	end, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			_, _ = w.Write([]byte(" "))
			_ = http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-end.Done():
				return
			case <-tick.C:
			}
		}
	})
}

// dead gives an address where nobody listens.
func dead(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return "http://" + l.Addr().String()
}

// A host that is dead, one that hangs and one that answers a byte a second do
// not keep the Lorries of another host from running: max-jobs-per-host leaves
// minions over for it. How late they were is told, with and without.
func TestBadHostsDelayNobodyElse(t *testing.T) {
	t.Parallel()
	const n, rounds = 12, 4
	for _, bad := range []bool{false, true} {
		t.Run(map[bool]string{false: "without", true: "with"}[bad], func(t *testing.T) {
			root := t.TempDir()
			var specs []string
			for i := range n {
				gittest.Seed(t, filepath.Join(root, name(i)+".git"))
			}
			backend, err := gittest.Backend(root)
			if err != nil {
				t.Fatal(err)
			}
			good := &visits{next: backend, at: map[string][]time.Time{}}
			address := serve(t, good)
			for i := range n {
				specs = append(specs, fmt.Sprintf(`"%s": {"type": "git", "url": "%s/%s.git"}`, name(i), address, name(i)))
			}
			sections := []map[string]any{{"type": "lorries", "prefix": "good", "globs": []string{"*.lorry"}, "interval": "2s"}}
			if bad {
				sections = append(sections, badHosts(t)...)
			}
			s := start(t, []string{
				"downstream-host-type = local", "local-base-directory = " + t.TempDir(), "max-jobs-per-host = 2", "minions = 8", "ls-troves-interval = 1",
			}, sections, map[string]string{"good.lorry": "{" + strings.Join(specs, ",\n") + "}"})
			await(t, "each good Lorry to run often", func() bool {
				good.mu.Lock()
				known := len(good.at)
				good.mu.Unlock()
				return known == n && good.count() >= rounds
			})
			late := good.lateness()
			t.Logf("%s bad hosts: %d looks, lateness p50 %v, p99 %v, most %v", strings.TrimPrefix(t.Name(), "TestBadHostsDelayNobodyElse/"),
				len(late), late[len(late)/2].Round(time.Millisecond), late[len(late)*99/100].Round(time.Millisecond), late[len(late)-1].Round(time.Millisecond))
			if bad {
				stuck(t, s)
			}
		})
	}
}

// badHosts are sections for hosts that first listed repositories and then went
// bad, each in its own way.
func badHosts(t *testing.T) []map[string]any {
	t.Helper()
	var sections []map[string]any
	for i, then := range map[string]http.Handler{"127.0.0.2": hang(t), "127.0.0.3": trickle(t), "127.0.0.4": nil} {
		fake := giteafake.New(giteafake.Options{Token: canary, ExternalURL: "https://wrong.invalid"})
		for j := range 10 {
			fake.AddRepo(giteafake.Repo{Path: fmt.Sprintf("acme/r%d", j)})
		}
		l, err := net.Listen("tcp", i+":0")
		if err != nil {
			t.Fatal(err)
		}
		// The listing is answered, everything else is not.
		handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case strings.HasPrefix(r.URL.Path, "/api/v1/orgs/"):
				fake.ServeHTTP(w, r)
			case then == nil:
				panic(http.ErrAbortHandler)
			default:
				then.ServeHTTP(w, r)
			}
		})
		server := &httptest.Server{Listener: l, Config: &http.Server{Handler: handler, ReadHeaderTimeout: patience}}
		server.Start()
		t.Cleanup(func() {
			server.CloseClientConnections()
			server.Close()
		})
		at := l.Addr().String()
		sections = append(sections, map[string]any{
			"type": "gitea", "host": at, "protocol": "http", "private-token": canary, "organization": []string{"acme"},
			"prefixmap": map[string]string{"acme": "bad-" + strings.ReplaceAll(i, ".", "-")}, "ls-interval": "2s", "interval": "2s",
		})
	}
	return append(sections, map[string]any{
		"type": "gitea", "host": strings.TrimPrefix(dead(t), "http://"), "protocol": "http", "prefixmap": map[string]string{"acme": "dead"},
		"organization": []string{"acme"}, "ls-interval": "2s", "interval": "2s",
	})
}

// stuck makes sure that the bad hosts were bad: they have Lorries, and none of
// these was mirrored.
func stuck(t *testing.T, s *system) {
	t.Helper()
	found := 0
	for path, l := range s.lorries(t) {
		if strings.HasPrefix(path, "bad-") {
			found++
			if l.LastSuccess > 0 {
				t.Errorf("%s was mirrored", path)
			}
		}
	}
	if found != 30 {
		t.Errorf("the bad hosts have %d Lorries, want 30", found)
	}
}
