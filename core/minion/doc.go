// Package minion is the worker's loop: ask the controller for a job, run lorry
// in a process group of its own, report its output and its end.
//
// It must not schedule, must not know what a specification means, and keeps
// nothing of a job but what lorry leaves in the working area.
package minion
