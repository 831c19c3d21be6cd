package webapp_test

import (
	"context"
	"testing"

	"github.com/lorry-controller/lorry-controller/core/webapp"
)

// Whoever probes gets an answer also while the STATEDB gives none.
func TestReadyWaitsForNoMuteStateDatabase(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *webapp.Options) {
		o.Ready = func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}
	})
	s.get(t, "/-/ready").want(t, 503, "state database gives no answer within 4s")
	s.get(t, "/-/healthy").want(t, 200, "healthy")
}
