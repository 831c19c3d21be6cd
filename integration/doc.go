// Package integration drives the whole programs as a person or a script would:
// real processes, real git, real servers on loopback. The scripts in
// testdata/script read like a manual of what an operator meets.
//
// It must not reach into a program: what a test can't see from outside, a user
// can't either.
package integration
