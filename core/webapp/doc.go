// Package webapp serves the HTTP API 1.0, the minion protocol and the pages on
// one httprouter: the table of routes, the middleware around them, and the
// server that puts them together.
//
// It must not touch SQL, must not schedule anything, and holds no state that
// another core would need.
package webapp
