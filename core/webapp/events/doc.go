// Package events tells clients of changes as they happen: the events of the
// whole controller, and the output of a job while it runs.
//
// What it tells is read from the STATEDB again and again while somebody
// listens, so that the changes of all cores are seen. It must not change
// anything, and nothing ever waits for one who listens.
package events
