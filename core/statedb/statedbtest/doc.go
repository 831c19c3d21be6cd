// Package statedbtest is the suite that every STATEDB passes: what the run
// queue and reconciling may rely on, said as tests. It is for tests only.
package statedbtest
