// Package host is the core's side of the adapter protocol: it starts an
// adapter's process through go-plugin, watches it, ends it, and speaks to it in
// the SDK's types.
//
// It trusts the process with nothing: what it prints is bounded, its calls have
// deadlines, its end is enforced. It knows no states, restarts or queues; those
// are core/adapter's. Only core/adapter, core/daemon and sdk/sdktest use it.
package host
