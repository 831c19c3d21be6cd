// Package reconcile turns CONFGIT and the listings of Upstream Hosts into the
// Lorries that the STATEDB is to hold, and guards against listings that shrank.
//
// It must not delete anything because a listing came back short, and must not
// write job state: what runs goes on.
package reconcile
