// Package core holds the words of the domain: Lorry, Job, Host, failure
// kinds, and the ports through which the rest of the daemon reaches an
// Upstream Host or a Downstream Host.
//
// It is the bottom of the tree: it imports the standard library alone, does no
// I/O, and knows neither SQL, nor HTTP, nor protobuf, nor git.
package core
