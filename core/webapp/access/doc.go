// Package access answers the routes about who may do what: the login form,
// tokens, and the audit.
//
// It must not decide who gets in, which core/webapp/auth does, and shows a
// token only in the answer that made it.
package access
