// Package queue gives jobs out, takes their updates, ends them, and buries
// those whose minion went silent. It is the only writer of job state, and the
// reader that the API and the pages ask.
//
// It must make no network call, and no call that lasts: each method is one or
// a few short transactions of the STATEDB. Order, due times and backoff are
// decided by package schedule; SQL is package statedb's.
package queue
