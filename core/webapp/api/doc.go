// Package api serves the admin's routes of the HTTP API 1.0: the run queue,
// jobs, Lorries, hosts and configuration, as JSON or text.
//
// It must not touch SQL and must not act by itself: each handler is one call of
// the run queue or of the reconciler.
package api
