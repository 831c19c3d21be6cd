package webapp_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core/webapp"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/tool"
)

// browser starts a browser without a window; it ends with the test.
func browser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		tool.Missing(t, "chromium is not installed", "all", "chromium")
	}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(path), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("disable-sync", true), chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.UserDataDir(t.TempDir()),
	}
	allocated, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocated)
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Log("browser did not end by itself:", err)
		}
		cancel()
		stop()
		chromedp.FromContext(ctx).Allocator.Wait()
	})
	return ctx
}

// complaints collects what the browser complains of, such as a violated
// content security policy.
type complaints struct {
	mu  sync.Mutex
	all []string
}

func (c *complaints) listen(ctx context.Context) {
	chromedp.ListenTarget(ctx, func(event any) {
		c.mu.Lock()
		defer c.mu.Unlock()
		switch e := event.(type) {
		case *log.EventEntryAdded:
			c.all = append(c.all, e.Entry.Text)
		case *runtime.EventExceptionThrown:
			c.all = append(c.all, e.ExceptionDetails.Text)
		}
	})
}

func (c *complaints) none(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if diff := cmp.Diff([]string(nil), c.all); diff != "" {
		t.Errorf("browser complains (-want +got):\n%s", diff)
	}
}

// keep writes a picture to the directory that LORRY_TEST_SCREENSHOTS names.
func keep(t *testing.T, name string, picture []byte) {
	t.Helper()
	dir := os.Getenv("LORRY_TEST_SCREENSHOTS")
	if dir == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o600); err != nil {
		t.Error(err)
	}
}

func TestTheStatusPageInABrowser(t *testing.T) {
	t.Parallel()
	ctx := browser(t)
	s := newSite(t)
	s.fill(t)
	var c complaints
	c.listen(ctx)
	var headings, state string
	err := chromedp.Run(ctx,
		// The page must work without JavaScript; the test itself uses the
		// browser's debugger, which does not need the page's.
		emulation.SetScriptExecutionDisabled(true),
		chromedp.EmulateViewport(1280, 900),
		chromedp.Navigate(s.URL+"/"),
		chromedp.WaitVisible("#headline"),
		chromedp.Text("main", &headings),
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, section := range []string{"Running jobs", "Failures", "Problems in CONFGIT", "Upstream Hosts", "Run queue", "This controller"} {
		if !strings.Contains(headings, section) {
			t.Errorf("page lacks the section %q", section)
		}
	}
	err = chromedp.Run(ctx,
		chromedp.Click("#stop-queue"),
		chromedp.WaitVisible("#start-queue"),
		chromedp.Text("#queue-state", &state),
	)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(state, "The queue is stopped") {
		t.Errorf("want a stopped queue, page says %q", state)
	}
	s.get(t, "/1.0/status").has(t, map[string]any{"running_queue": false})
	c.none(t)
}

func TestPagesFitEveryScreen(t *testing.T) {
	t.Parallel()
	ctx := browser(t)
	s := newSite(t)
	s.fill(t)
	s.post(t, "/1.0/give-me-job", "host=minion-2.example.com&pid=5&version=2&build=1.4.0&labels=site-a&labels=big")
	var c complaints
	c.listen(ctx)
	for _, screen := range []struct {
		name, scheme string
		width        int64
	}{
		{"desktop", "light", 1280}, {"desktop-dark", "dark", 1280}, {"tablet", "light", 800}, {"phone", "light", 375}, {"phone-dark", "dark", 375},
	} {
		for _, page := range []struct{ name, path string }{
			{"status", "/1.0/status-html"},
			{"lorry", "/1.0/lorry-html/upstream/project-00"},
			{"jobs", "/1.0/list-jobs-html"},
			{"job", "/1.0/job-html/1"},
		} {
			var picture []byte
			var wide int64
			err := chromedp.Run(ctx,
				emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: screen.scheme}}),
				chromedp.EmulateViewport(screen.width, 800),
				chromedp.Navigate(s.URL+page.path),
				chromedp.WaitVisible("main"),
				chromedp.Evaluate("document.documentElement.scrollWidth", &wide),
				chromedp.FullScreenshot(&picture, 100),
			)
			if err != nil {
				t.Fatal(err)
			}
			if wide > screen.width {
				t.Errorf("%s is %d wide on a screen of %d", page.name, wide, screen.width)
			}
			keep(t, page.name+"-"+screen.name, picture)
		}
	}
	c.none(t)
}

func TestTheStatusPageFollowsWhatHappens(t *testing.T) {
	t.Parallel()
	ctx := browser(t)
	s := newSite(t, func(o *webapp.Options) { o.EventsEvery = 20 * time.Millisecond })
	s.queue.Put(foo())
	var c complaints
	c.listen(ctx)
	if err := chromedp.Run(ctx, chromedp.Navigate(s.URL+"/1.0/status-html"), chromedp.WaitVisible("#queue-state")); err != nil {
		t.Fatal(err)
	}
	s.get(t, "/1.0/status") // the page has begun to listen by its first event at the latest
	for range 100 {
		s.post(t, "/1.0/give-me-job", "host=minion-7.example.com&pid=5")
		var there bool
		if err := chromedp.Run(ctx, chromedp.Poll(`document.getElementById("main").innerText.includes("minion-7.example.com")`, &there, chromedp.WithPollingTimeout(500*time.Millisecond))); err == nil {
			break
		}
	}
	var text string
	if err := chromedp.Run(ctx, chromedp.Text("main", &text)); err != nil || !strings.Contains(text, "minion-7.example.com") {
		t.Errorf("the page does not show the job that began: %v %s", err, text)
	}
	c.none(t)
}
