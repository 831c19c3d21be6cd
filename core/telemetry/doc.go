// Package telemetry sets up the log of a program: where it goes, its form, the
// turning of log files, and the removal of credentials from every line.
//
// It must not decide what is logged, and keeps no logger of its own: each
// program makes one and passes it on.
package telemetry
