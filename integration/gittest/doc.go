// Package gittest gives tests real git repositories and real git servers on
// loopback: smart HTTP by git's own http-backend, and servers that misbehave
// in the ways that servers do. Everything lies below a directory of the test
// and ends with it.
//
// It is for tests alone and must not know the code that is tested.
package gittest
