package reconcile_test

import (
	"context"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/confgit"
	"github.com/lorry-controller/lorry-controller/core/reconcile"
)

// Whoever asks for all hosts while CONFGIT is being read gets those that it has
// now, too.
func TestAllHostsAreThoseThatAreBeingRead(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, open func(core.Clock) store) {
		w := newWorld(t, open)
		w.write("lorry-controller.conf", conf(hostSection("new.example.org", `{"x": "y"}`)))
		w.hosts.has("new.example.org", "x/1")
		listed := make(chan []string, 1)
		var r *reconcile.Reconciler
		r = reconcile.New(reconcile.Options{
			Source: confgit.NewSource(confgit.Options{Directory: w.dir}), Store: w.store, Upstreams: w.hosts, Clock: w.clock.Now,
			Applied: func(context.Context, *confgit.Config) { // known here, and not yet in the STATEDB
				go func() {
					names, err := r.ListHosts(t.Context(), true)
					if err != nil {
						t.Error(err)
					}
					listed <- names
				}()
				for range 10_000 {
					runtime.Gosched()
				}
			},
		})
		if _, err := r.ReadConfiguration(t.Context()); err != nil {
			t.Fatal(err)
		}
		got := <-listed
		for len(listed) > 0 {
			got = <-listed
		}
		if diff := cmp.Diff([]string{"new.example.org"}, got); diff != "" {
			t.Errorf("listed (-want +got):\n%s", diff)
		}
	})
}
