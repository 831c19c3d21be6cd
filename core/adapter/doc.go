// Package adapter looks after the adapters of the configured hosts: it finds
// and verifies their programs, runs one process for each host, restarts it
// when it fails, and gives core.Upstream and core.Downstream to the rest of
// the daemon.
//
// It trusts no answer: what is wrong with one is the adapter's fault and goes
// no further. It never repeats a call; that is the run queue's business. It
// must not know the STATEDB, the run queue or HTTP.
package adapter
