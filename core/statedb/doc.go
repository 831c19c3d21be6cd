// Package statedb is the STATEDB: the one place where SQL is written. One text
// serves an embedded SQLite file and a PostgreSQL server; a dialect holds the
// few differences.
//
// A DB is the store of package queue and of package reconcile. It keeps no
// state in memory that another core would need, makes no network call inside a
// transaction except to the database itself, and decides nothing: order, due
// times and backoff come from its callers, and so does the time.
package statedb
