package lorryctl

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
)

// doLong is do for what may take for ever: only a --timeout that was given
// bounds it.
func (a *app) doLong(f func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		if !c.Flags().Changed("timeout") {
			a.timeout = 0
		}
		return a.do(f)(c, args)
	}
}

func (a *app) jobOutputCommand() *cobra.Command {
	var follow bool
	plain := a.onJob("output ID", "Print the output of a job as it is", func(ctx context.Context, id string) error {
		if follow {
			return a.follow(ctx, id)
		}
		return a.printOutput(ctx, id)
	})
	plain.Aliases = []string{"log", "logs"}
	once := plain.RunE
	plain.RunE = func(c *cobra.Command, args []string) error {
		if follow && !c.Flags().Changed("timeout") {
			a.timeout = 0
		}
		return once(c, args)
	}
	plain.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the job ends")
	return plain
}

const (
	// tries is how often a stream that broke off is taken up again without
	// anything new in between.
	tries = 5
	// progressEvery is how often the line about a running job is drawn.
	progressEvery = time.Second
)

// follow prints the output of a job while it runs. On a terminal there is a line
// below it that says how long it runs.
func (a *app) follow(ctx context.Context, id string) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	p := a.newProgress()
	defer p.stop()
	offset, failed := int64(0), 0
	for {
		body, err := c.Stream(ctx, "/1.0/job/"+id+"/output", url.Values{"follow": {"1"}, "offset": {strconv.FormatInt(offset, 10)}}, "application/x-ndjson")
		if err == nil {
			var end *protocol.OutputPart
			before := offset
			end, err = a.copyParts(body, &offset, p)
			_ = body.Close() // it was read as far as it went
			if end != nil {
				p.stop()
				return a.tellEnd(id, *end)
			}
			if offset > before {
				failed = 0
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if failed++; failed > tries || err != nil && core.KindOf(err) != core.KindUnavailable {
			if err == nil {
				err = core.Errorf(core.KindUnavailable, "the stream of job %s ends again and again", id)
			}
			return err
		}
		pause := time.NewTimer(time.Duration(failed) * time.Second)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return ctx.Err()
		}
	}
}

// copyParts prints what comes, and gives the last part if the job has ended.
func (a *app) copyParts(body io.Reader, offset *int64, p *progress) (*protocol.OutputPart, error) {
	lines := bufio.NewReader(body)
	for {
		line, err := lines.ReadBytes('\n')
		if text := strings.TrimSpace(string(line)); text != "" {
			var part protocol.OutputPart
			if json.Unmarshal([]byte(text), &part) != nil {
				return nil, core.Errorf(core.KindUnavailable, "the stream broke off")
			}
			if err := a.printPart(part, text, p); err != nil {
				return nil, err
			}
			*offset = part.Offset + int64(len(part.Text))
			if part.State != "" {
				return &part, nil
			}
		}
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		if err != nil {
			return nil, &core.Error{Kind: core.KindUnavailable, Err: err, Fact: "the stream broke off"}
		}
	}
}

func (a *app) printPart(part protocol.OutputPart, line string, p *progress) error {
	if part.Progress != nil {
		p.far(part.Progress.Text)
	}
	text := part.Text
	switch {
	case a.format != "table":
		text = line + "\n"
	case a.terminal:
		text = plain(strings.ReplaceAll(text, "\r", "\n"))
	}
	return p.print(text, int64(len(part.Text)))
}

// tellEnd says on standard error how the job ended.
func (a *app) tellEnd(id string, end protocol.OutputPart) error {
	text := "Job " + id + " has " + map[string]string{"succeeded": "succeeded", "failed": "failed", "lost": "been lost", "returned": "been handed back"}[end.State]
	if end.Failure != nil && end.Failure.Cause != "" {
		text += ": " + end.Failure.Cause
	}
	_, err := fmt.Fprintln(a.stderr, cell(text))
	return err
}

// progress draws a line below the output of a job, on a terminal.
type progress struct {
	a     *app
	began time.Time
	over  chan struct{}
	once  sync.Once
	drawn sync.WaitGroup

	mu    sync.Mutex
	size  int64
	text  string // how far the job is
	shown bool
}

func (a *app) newProgress() *progress {
	p := &progress{a: a, began: a.clock(), over: make(chan struct{})}
	if a.terminal && a.format == "table" {
		p.drawn.Go(p.draw)
	}
	return p
}

func (p *progress) draw() {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-p.over:
			return
		case <-tick.C:
			p.mu.Lock()
			fmt.Fprintf(p.a.stderr, "\r\x1b[K%s", p.line())
			p.shown = true
			p.mu.Unlock()
		}
	}
}

// line is what stands below the output: how far the job is, or, when its
// minion does not tell, how much there was.
func (p *progress) line() string {
	text := p.text
	if text == "" {
		text = "running, " + protocol.NiceSize(p.size) + " of output"
	}
	return "… " + text + ", followed for " + protocol.NiceSpan(p.a.clock().Sub(p.began))
}

// far takes how far the job is.
func (p *progress) far(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text = cell(text)
}

// print takes the line away and prints; the next tick draws it again.
func (p *progress) print(text string, size int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	p.size += size
	_, err := io.WriteString(p.a.stdout, text)
	return err
}

func (p *progress) erase() {
	if p.shown {
		fmt.Fprint(p.a.stderr, "\r\x1b[K")
		p.shown = false
	}
}

func (p *progress) stop() {
	p.once.Do(func() { close(p.over) })
	p.drawn.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
}

func (a *app) eventsCommand() *cobra.Command {
	return &cobra.Command{
		Use: "events", Short: "Print changes as they happen, one a line, until interrupted", Args: cobra.NoArgs,
		RunE: a.doLong(func(ctx context.Context, _ []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			body, err := c.Stream(ctx, "/1.0/events", nil, "text/event-stream")
			if err != nil {
				return err
			}
			defer body.Close()
			return a.printEvents(body)
		}),
	}
}

// printEvents prints a stream of events: as JSON one object a line, otherwise
// the kind and the data.
func (a *app) printEvents(body io.Reader) error {
	kind := ""
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "event":
			kind = value
		case "data":
			text := fmt.Sprintf("%-8s %s", cell(kind), cell(value))
			if a.format != "table" {
				text = string(object(map[string]any{"event": kind, "data": json.RawMessage(value)}))
			}
			if _, err := fmt.Fprintln(a.stdout, text); err != nil {
				return err
			}
		}
	}
	if err := lines.Err(); err != nil {
		return &core.Error{Kind: core.KindUnavailable, Err: err, Fact: "the stream of events broke off"}
	}
	return core.Errorf(core.KindUnavailable, "the controller has ended the stream of events")
}
