package telemetry

import (
	"fmt"
	"io"
	"log/syslog"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/settings"
)

// Options say what kind of log a program has.
type Options struct {
	// Program is the program's name, for syslog.
	Program string
	Log     settings.Log
	// Redactor is applied to every line; nil means one that knows no secret.
	Redactor *Redactor
	// Stderr is where Log.To = stderr goes.
	Stderr io.Writer
	Now    core.Clock
}

// Log is an open log. Its Logger is the root of all loggers of the program.
type Log struct {
	hclog.Logger
	lines *lines
}

// NewLogger opens the log that the options describe. In files a line has the
// form "YYYY-MM-DD HH:MM:SS LEVEL message", on stderr and in syslog without
// the time. Close it last.
func NewLogger(o Options) (*Log, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	out := &lines{redactor: o.Redactor, now: o.Now}
	switch o.Log.To {
	case "none", "":
		out.sink = nil
	case "stderr":
		out.sink = writerSink{o.Stderr}
	case "syslog":
		w, err := syslog.New(syslog.LOG_DAEMON|syslog.LOG_INFO, o.Program)
		if err != nil {
			return nil, fmt.Errorf("log = syslog: no syslog can be reached: %w", err)
		}
		out.sink = syslogSink{w}
	default:
		file, err := openFile(o.Log)
		if err != nil {
			return nil, fmt.Errorf("log: %w", err)
		}
		out.sink, out.stamped = file, true
	}
	level := level(o.Log.Level)
	if out.sink == nil {
		level = hclog.Off
	}
	logger := hclog.New(&hclog.LoggerOptions{Level: level, Output: out, DisableTime: true, Color: hclog.ColorOff})
	return &Log{Logger: logger, lines: out}, nil
}

// Reopen opens the log file anew, after another program has moved it away.
func (l *Log) Reopen() error {
	if file, ok := l.lines.sink.(*file); ok {
		return file.reopen()
	}
	return nil
}

// Close ends the log; what is logged later is lost.
func (l *Log) Close() error {
	if l.lines.sink == nil {
		return nil
	}
	return l.lines.sink.close()
}

// level turns the name of a level as settings has it into hclog's.
func level(name string) hclog.Level {
	switch name {
	case "trace":
		return hclog.Trace
	case "debug":
		return hclog.Debug
	case "warning":
		return hclog.Warn
	case "error", "critical", "fatal":
		return hclog.Error
	}
	return hclog.Info
}

// sink takes finished lines, each with its line end.
type sink interface {
	write(level hclog.Level, line string) error
	close() error
}

// lines turns what hclog writes into lines of our form. hclog calls it under
// its own lock.
type lines struct {
	sink     sink
	stamped  bool
	redactor *Redactor
	now      core.Clock
}

// Write takes a line that has no level.
func (l *lines) Write(p []byte) (int, error) { return l.LevelWrite(hclog.Info, p) }

// LevelWrite implements hclog.LevelWriter.
func (l *lines) LevelWrite(level hclog.Level, p []byte) (int, error) {
	if l.sink == nil {
		return len(p), nil
	}
	text := string(p)
	if strings.HasPrefix(text, "[") {
		_, text, _ = strings.Cut(text, "]")
	}
	text = l.redactor.Redact(strings.TrimSpace(text))
	line := levelName(level) + " " + strings.ToValidUTF8(text, "\uFFFD") + "\n"
	if l.stamped {
		line = l.now().Format("2006-01-02 15:04:05") + " " + line
	}
	if err := l.sink.write(level, line); err != nil {
		return 0, err
	}
	return len(p), nil
}

func levelName(level hclog.Level) string {
	switch level {
	case hclog.Trace:
		return "TRACE"
	case hclog.Debug:
		return "DEBUG"
	case hclog.Warn:
		return "WARNING"
	case hclog.Error:
		return "ERROR"
	default:
		return "INFO"
	}
}

type writerSink struct{ w io.Writer }

func (s writerSink) write(_ hclog.Level, line string) error {
	_, err := io.WriteString(s.w, line)
	return err
}

func (s writerSink) close() error { return nil }

type syslogSink struct{ w *syslog.Writer }

func (s syslogSink) write(level hclog.Level, line string) error {
	switch level {
	case hclog.Trace, hclog.Debug:
		return s.w.Debug(line)
	case hclog.Warn:
		return s.w.Warning(line)
	case hclog.Error:
		return s.w.Err(line)
	default:
		return s.w.Info(line)
	}
}

func (s syslogSink) close() error { return s.w.Close() }
