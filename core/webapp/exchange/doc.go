// Package exchange holds the two ends of one HTTP exchange: a Request whose
// form was read from any of the bodies that clients send, and an Answer that a
// handler returns instead of writing it. So forms, errors, redirects and
// content types are decided in one place for all routes.
//
// It must not know a route, the run queue or a page.
package exchange
