// Package route decides how a connection to an Upstream or Downstream Host
// leaves this machine: directly or through the operator's proxy, and to which
// address. Names are looked up once, what they give is checked, and the
// connection goes to exactly what was checked. Programs that cannot be told
// that reach the network through a Relay on loopback, which also keeps the
// proxy's password from them.
//
// It must not know what is fetched or pushed.
package route
