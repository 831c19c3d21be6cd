package host

import (
	"os/exec"
	"runtime"
	"sync"
)

// Launcher starts processes from one operating system thread. Linux sends the
// signal for a parent's death when the thread that started a child ends, not
// when the process does, so that thread must live as long as any adapter.
type Launcher struct {
	work chan func()
	quit chan struct{}
	done chan struct{}
	once sync.Once
}

// NewLauncher starts the thread. Close ends it.
func NewLauncher() *Launcher {
	l := &Launcher{work: make(chan func()), quit: make(chan struct{}), done: make(chan struct{})}
	go l.loop()
	return l
}

func (l *Launcher) loop() {
	defer close(l.done)
	// Never unlocked: the thread ends with the goroutine, and adapters that
	// should still be there are killed with it.
	runtime.LockOSThread()
	for {
		select {
		case f := <-l.work:
			f()
		case <-l.quit:
			return
		}
	}
}

// start starts a command on the thread.
func (l *Launcher) start(cmd *exec.Cmd) error {
	result := make(chan error, 1)
	select {
	case l.work <- func() { result <- cmd.Start() }:
		return <-result
	case <-l.done:
		return errLauncherClosed
	}
}

// Close ends the thread, and with it every adapter that was not stopped.
func (l *Launcher) Close() {
	l.once.Do(func() { close(l.quit) })
	<-l.done
}
