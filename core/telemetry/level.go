package telemetry

import "github.com/hashicorp/go-hclog"

// SetLevelName changes how much is logged, by all loggers made from this one.
// The name is one of those that settings knows. A log that goes nowhere stays
// silent.
func (l *Log) SetLevelName(name string) {
	if l.lines.sink == nil {
		l.SetLevel(hclog.Off)
		return
	}
	l.SetLevel(level(name))
}
