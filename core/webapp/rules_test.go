package webapp_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/core/webapp"
	"github.com/lorry-controller/lorry-controller/core/webapp/webapptest"
)

// tidyQueue is a queue that knows how long jobs are kept.
type tidyQueue struct{ *memory }

// memory is another name, since a field named Queue would hide the method.
type memory = webapptest.Queue

func (tidyQueue) RemoveOldJobs(context.Context) (int, error) { return 3, nil }

func TestOldJobsAreRemovedByTheQueuesRules(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *webapp.Options) { o.Queue = tidyQueue{webapptest.NewQueue(o.Clock)} })
	s.post(t, "/1.0/remove-old-jobs", "").has(t, map[string]any{"removed": 3.0})
}

func TestTheManualNamesEveryRoute(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range webapp.Routes() {
		if want := "`" + route.Method + " " + route.Path + "`"; !strings.Contains(string(manual), want) {
			t.Errorf("docs/api.md does not name %s", want)
		}
	}
}
