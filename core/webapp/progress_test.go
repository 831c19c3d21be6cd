package webapp_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/webapp"
)

// far reports how far job 1 is.
func (s *site) far(t *testing.T, done int64) {
	t.Helper()
	s.post(t, "/1.0/job-update", fmt.Sprintf(`{"job_id": 1, "exit": "no", "progress": {"phase": "Receiving <b>objects", "done": %d, "total": 4}}`, done))
}

func TestPagesAndAnswersSayHowFarAJobIs(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.queue.Put(foo())
	s.post(t, "/1.0/give-me-job", "host=m&pid=5")
	s.get(t, "/1.0/job/1").has(t, map[string]any{"progress": nil})
	s.far(t, 1)
	for _, page := range []string{"/1.0/job-html/1", "/1.0/status-html"} {
		s.get(t, page).contains(t, `data-progress="1">Receiving &lt;b&gt;objects: 25% (1 of 4)<`)
	}
	s.get(t, "/1.0/job/1").has(t, map[string]any{"progress": map[string]any{
		"phase": "Receiving <b>objects", "done": 1.0, "total": 4.0, "bytes": 0.0, "rate": 0.0, "refs": 0.0, "refs_done": 0.0,
		"text": "Receiving <b>objects: 25% (1 of 4)",
	}})
	s.post(t, "/1.0/job-update", "job_id=1&exit=0")
	s.get(t, "/1.0/job/1").has(t, map[string]any{"progress": nil})
}

func TestALorrysPageOffersWhatHelps(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	l := foo()
	l.Failures, l.LastExit, l.LastFailure = 1, "1", core.Failure{Kind: core.FailAuth, Cause: "no"}
	s.queue.Put(l)
	page := "/1.0/lorry-html/" + l.Path
	s.get(t, page).contains(t, ">Retry now</button>", ">Hold</button>")
	s.post(t, "/1.0/hold", "path="+l.Path)
	s.get(t, page).contains(t, ">Resume</button>")
}

// TestAJobsPageFollowsIt opens the page of a running job, and sees it go on and
// end.
func TestAJobsPageFollowsIt(t *testing.T) {
	t.Parallel()
	ctx := browser(t)
	s := newSite(t, func(o *webapp.Options) { o.EventsEvery = 20 * time.Millisecond })
	s.queue.Put(foo())
	s.post(t, "/1.0/give-me-job", "host=m&pid=5")
	s.far(t, 1)
	var c complaints
	c.listen(ctx)
	if err := chromedp.Run(ctx, chromedp.Navigate(s.URL+"/1.0/job-html/1"), chromedp.WaitVisible("[data-progress]")); err != nil {
		t.Fatal(err)
	}
	shows := func(text string) bool {
		var there bool
		err := chromedp.Run(ctx, chromedp.Poll(fmt.Sprintf(`document.getElementById("main").innerText.includes(%q)`, text), &there, chromedp.WithPollingTimeout(500*time.Millisecond)))
		return err == nil && there
	}
	seen := false
	for i := range int64(100) { // it listens soon
		s.far(t, 2+i%2)
		if seen = shows("(2 of 4)") || shows("(3 of 4)"); seen {
			break
		}
	}
	if !seen {
		t.Error("the page does not show how far the job is")
	}
	if _, err := s.queue.Update(t.Context(), []queue.UpdateParams{{Job: 1, Done: true, Exit: "0"}}); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if seen = shows("succeeded"); seen {
			break
		}
	}
	if !seen {
		t.Error("the page does not show the end of the job")
	}
	c.none(t)
}
