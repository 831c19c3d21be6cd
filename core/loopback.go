package core

import "net"

// Loopback reports whether a host, a name or an address without a port, is this
// machine itself, so that what goes there crosses no network: "localhost" and
// the addresses of the loopback interface. Other names are not looked up.
func Loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
