// Package auth decides who may do what over HTTP: the groups of roles that the
// table of routes names, and who a caller is: by bearer token, by session
// cookie, by client certificate, or by coming over loopback while there is no
// token.
//
// It must not touch SQL, must not answer requests of other subjects, and never
// keeps or shows a token after it was made.
package auth
