package minion

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"
)

const (
	// orphansEvery is how often it is looked for orphans that nobody told of.
	orphansEvery = 2 * time.Second
	// orphanGrace is how long an orphan may live after its job, and take to end
	// once it is asked to.
	orphanGrace = 5 * time.Second
	// orphanBusy is how long one may live while any job runs, since nobody can
	// tell whose it was.
	orphanBusy = 10 * time.Minute
)

// orphans ends and reaps processes that left their job's process group and whose
// parents have ended: the kernel gives them to this process, which is a
// subreaper or process 1 of a container.
type orphans struct {
	log  hclog.Logger
	self int
	// session is this process's: what childproc starts is in it, as the leader
	// of a process group, and is left to childproc.
	session int
	seen    map[int]orphan
}

type orphan struct {
	since, asked time.Time
}

// adoptOrphans makes this process the parent of all orphans below it. The
// function that it gives ends those that are left.
func adoptOrphans(log hclog.Logger) (stop func(), err error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("becoming the parent of orphans: %w", err)
	}
	session, err := unix.Getsid(0)
	if err != nil {
		return nil, fmt.Errorf("finding the own session: %w", err)
	}
	o := &orphans{log: log, self: os.Getpid(), session: session, seen: map[int]orphan{}}
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGCHLD)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		o.keep(told, done)
	}()
	return func() {
		signal.Stop(told)
		close(done)
		<-ended
		o.endAll()
	}, nil
}

func (o *orphans) keep(told <-chan os.Signal, done <-chan struct{}) {
	tick := time.NewTicker(orphansEvery)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-told:
		case <-tick.C:
		}
		o.look(time.Now())
	}
}

// look reaps orphans that have ended, and ends those that live on: whoever left
// its job's process group was not meant to outlive the job.
func (o *orphans) look(now time.Time) (left int) {
	there := map[int]bool{}
	children, busy := o.children()
	for _, c := range children {
		there[c.pid] = true
		known, old := o.seen[c.pid]
		if !old {
			known.since = now
			o.seen[c.pid] = known
		}
		switch age := now.Sub(known.since); {
		case c.zombie:
			var status unix.WaitStatus
			_, _ = unix.Wait4(c.pid, &status, unix.WNOHANG, nil) // it may have been reaped meanwhile
		case c.inJob:
			known.since = now // its group is ended with the job
			o.seen[c.pid] = known
			left++
		case age < orphanGrace, busy && age < orphanBusy:
			left++
		case known.asked.IsZero():
			left++
			o.log.Warn("a process outlived its job, it is ended", "pid", c.pid, "program", c.name)
			o.signal(c.pid, unix.SIGTERM, now)
		case now.Sub(known.asked) >= orphanGrace:
			left++
			o.signal(c.pid, unix.SIGKILL, now)
		default:
			left++
		}
	}
	for pid := range o.seen {
		if !there[pid] {
			delete(o.seen, pid)
		}
	}
	return left
}

func (o *orphans) signal(pid int, s unix.Signal, now time.Time) {
	known := o.seen[pid]
	known.asked = now
	o.seen[pid] = known
	if err := unix.Kill(pid, s); err != nil && !errors.Is(err, unix.ESRCH) {
		o.log.Warn("an orphan can't be ended", "pid", pid, "error", err)
	}
}

// endAll leaves no orphan behind. Its jobs have ended.
func (o *orphans) endAll() {
	for range 50 {
		children, _ := o.children()
		for _, c := range children {
			if !c.zombie {
				_ = unix.Kill(c.pid, unix.SIGKILL) // it may have ended meanwhile
			}
		}
		if len(children) == 0 {
			return
		}
		sleep(context.Background(), 20*time.Millisecond)
		o.look(time.Now())
	}
	o.log.Error("orphans of jobs could not be ended")
}

// child is a process that was given to this one.
type child struct {
	pid, group int
	name       string
	zombie     bool
	// own is set for one that childproc has started, and inJob for one that is
	// in the process group of such a one.
	own, inJob bool
}

// children lists the orphans among this process's children. busy says that
// there are others: jobs that run.
func (o *orphans) children() (all []child, busy bool) {
	files, _ := filepath.Glob("/proc/self/task/*/children") // fails on a bad pattern alone
	jobs := map[int]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		for _, field := range strings.Fields(string(text)) {
			pid, err := strconv.Atoi(field)
			if err != nil {
				continue
			}
			switch c, ok := o.child(pid); {
			case !ok:
			case c.own:
				jobs[c.pid], busy = true, true
			default:
				all = append(all, c)
			}
		}
	}
	for i := range all {
		all[i].inJob = jobs[all[i].group]
	}
	return all, busy
}

// child reads what a child is. What childproc has started is in this process's
// session and leads a process group, or is about to.
func (o *orphans) child(pid int) (child, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return child{}, false
	}
	open, end := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 0 || end < open {
		return child{}, false
	}
	fields := strings.Fields(string(text[end+1:])) // state, parent, group, session
	if len(fields) < 4 || fields[1] != strconv.Itoa(o.self) {
		return child{}, false
	}
	c := child{pid: pid, name: string(text[open+1 : end]), zombie: fields[0] == "Z"}
	c.group, err = strconv.Atoi(fields[2])
	c.own = fields[3] == strconv.Itoa(o.session) && (c.group == pid || c.group == unix.Getpgrp())
	return c, err == nil
}
