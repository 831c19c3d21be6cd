// Package sshfake gives tests a forge that is reached by ssh: a real OpenSSH
// server on loopback, whose forced command is answered by the test, and a
// Gitano with state to answer it, over ssh and over its CGI.
//
// A test's TestMain calls Relay first. It is for tests alone and must not know
// the adapters that are tested with it.
package sshfake
