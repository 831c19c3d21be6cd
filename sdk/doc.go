// Package sdk is what a host adapter for Lorry Controller is written with.
//
// An adapter is a program named lorry-adapter-TYPE. It tells the core which
// repositories an Upstream Host has, gets repositories on a Downstream Host
// ready, or both:
//
//	func main() { sdk.Main(sdk.Define("example", open)) }
//
// where open makes a value with the methods of Upstream, of Downstream, or of
// both from the adapter's settings. What the adapter can do is read off that
// value's type; nothing is declared twice.
//
// The package must not import anything of the core: it is a public contract of
// its own.
package sdk
