package integration

import (
	"bufio"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/integration/pgtest"
)

// TestThreeCoresWhoseLeaderGoes kills or stops the one of three cores that does the
// upkeep, again and again. Another one does it then, and never two at a time: the
// one that was stopped steps down when it goes on. All that live answer all the
// while.
func TestThreeCoresWhoseLeaderGoes(t *testing.T) {
	t.Parallel()
	rounds := 2
	if os.Getenv("LORRY_TEST_SOAK") != "" {
		rounds = 100
	}
	c := startThreeCores(t, rounds)
	leader := c.next(-1)
	var gaps []time.Duration
	for round := range rounds {
		others := []int{(leader + 1) % 3, (leader + 2) % 3}
		job := c.silentJob(others[round%2])
		gone := time.Now()
		old := leader
		if round%2 == 0 {
			c.kill(old)
		} else {
			c.signal(old, syscall.SIGSTOP)
		}
		for _, i := range others {
			c.want(i, "", http.MethodGet, "/1.0/get-max-jobs", "", http.StatusOK, "max_jobs")
		}
		leader = c.next(old)
		gaps = append(gaps, time.Since(gone))
		// It does what is to be done.
		c.await(func() bool {
			_, text := c.ask(leader, "", http.MethodGet, "/1.0/job/"+job, "")
			return strings.Contains(text, `"exit":"lost"`)
		})
		if round%2 == 0 {
			c.start(old)
		} else {
			c.signal(old, syscall.SIGCONT)
			c.steppedDown(old)
		}
		c.await(func() bool {
			status, _ := c.ask(old, "", http.MethodGet, "/-/ready", "")
			return status == http.StatusOK
		})
	}
	slices.Sort(gaps)
	t.Logf("%d leaders killed or stopped, never two at a time; another one leads after %v (median), %v at most",
		rounds, gaps[len(gaps)/2].Round(time.Millisecond), gaps[len(gaps)-1].Round(time.Millisecond))
}

// threeCores are controllers, with a data directory each, on one PostgreSQL.
type threeCores struct {
	*twoCores
	core    [3]*exec.Cmd
	reading sync.WaitGroup
	said    chan step

	term int64 // the newest
}

// step is what a core says about the upkeep: that it does it, or no longer.
type step struct {
	core int
	does bool
	term int64
}

func startThreeCores(t *testing.T, rounds int) *threeCores {
	t.Helper()
	servers := pgtest.New(t)
	c := &threeCores{twoCores: &twoCores{T: t, dir: t.TempDir(), client: &http.Client{}}, said: make(chan step, 100)}
	t.Cleanup(c.client.CloseIdleConnections)
	c.env = append(os.Environ(), "LORRY_STATEDB="+servers.Prepared(t, func(string) error { return nil }))
	c.alwaysDue(rounds + 1)
	t.Cleanup(func() {
		for _, core := range c.core {
			_ = core.Process.Signal(syscall.SIGCONT)
			_ = core.Process.Signal(syscall.SIGTERM)
		}
		c.reading.Wait()
		for i, core := range c.core {
			if err := core.Wait(); err != nil {
				t.Errorf("core %d: %v", i, err)
			}
		}
	})
	for i := range c.core {
		c.url[i] = "http://" + freeAddress(t)
		c.start(i)
	}
	return c
}

// start starts a core and waits until it knows CONFGIT.
func (c *threeCores) start(i int) {
	c.Helper()
	core := exec.Command(filepath.Join(binDir, "lorry-controller"), "--no-default-configs", "--data", filepath.Join(c.dir, fmt.Sprint("data", i)),
		"--configuration-directory", c.dir, "--downstream-host-type", "local", "--local-base-directory", filepath.Join(c.dir, "mirrors"),
		"--ghost-timeout", "2", "--log-level", "debug", "--listen", strings.TrimPrefix(c.url[i], "http://"))
	core.Env = c.env
	log, err := core.StderrPipe()
	if err == nil {
		err = core.Start()
	}
	if err != nil {
		c.Fatal(err)
	}
	c.core[i] = core
	c.reading.Go(func() {
		saysSo := regexp.MustCompile(`upkeep: this core does the upkeep( no longer)?: term=(\d+)`)
		for lines := bufio.NewScanner(log); lines.Scan(); {
			if m := saysSo.FindStringSubmatch(lines.Text()); m != nil {
				term, _ := strconv.ParseInt(m[2], 10, 64) // it is a number
				c.said <- step{i, m[1] == "", term}
			}
		}
	})
	c.await(func() bool {
		status, text := c.ask(i, "", http.MethodGet, "/1.0/list-queue", "")
		return status == http.StatusOK && strings.Contains(text, "m/")
	})
}

func (c *threeCores) signal(i int, sig syscall.Signal) {
	c.Helper()
	if err := c.core[i].Process.Signal(sig); err != nil {
		c.Fatal(err)
	}
}

func (c *threeCores) kill(i int) {
	c.Helper()
	c.signal(i, syscall.SIGKILL)
	_, _ = c.core[i].Process.Wait()
}

// next waits until a core does the upkeep, which must be another one than that
// which is gone, in a later term.
func (c *threeCores) next(gone int) int {
	c.Helper()
	s := c.step()
	if !s.does || s.core == gone || s.term <= c.term {
		c.Fatalf("after term %d, of core %d, which is gone: %+v", c.term, gone, s)
	}
	c.term = s.term
	return s.core
}

// steppedDown waits until the core that was stopped has noticed; it must not do
// the upkeep again, since another one does.
func (c *threeCores) steppedDown(i int) {
	c.Helper()
	if s := c.step(); s.does || s.core != i || s.term >= c.term {
		c.Fatalf("core %d was to step down, for another does the upkeep in term %d: %+v", i, c.term, s)
	}
}

func (c *threeCores) step() step {
	c.Helper()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case s := <-c.said:
		return s
	case <-timer.C:
		c.Fatal("no core says that it does the upkeep")
		return step{}
	}
}

// silentJob has a minion take a job of which nobody hears again.
func (c *threeCores) silentJob(at int) string {
	c.Helper()
	status, text := c.ask(at, "", http.MethodPost, "/1.0/give-me-job", "version=2&wait=20&pid=1&host=silent")
	m := regexp.MustCompile(`"job_id":(\d+)`).FindStringSubmatch(text)
	if m == nil {
		c.Fatalf("no job: %d %s", status, text)
	}
	return m[1]
}
