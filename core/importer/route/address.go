package route

import (
	"net/netip"
	"strings"
)

// Public reports whether an address is one that everybody on the Internet can
// reach: not loopback, private, link-local, shared, reserved, nor one that
// only carries another address (RFC 6890 and its successors).
func Public(ip netip.Addr) bool {
	ip = ip.Unmap().WithZone("")
	if !ip.IsGlobalUnicast() || ip.IsPrivate() {
		return false
	}
	for _, text := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"::/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10",
	} {
		if netip.MustParsePrefix(text).Contains(ip) {
			return false
		}
	}
	return true
}

func isLoopback(host string) bool {
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && ip.Unmap().IsLoopback()
}

// listed reports whether a list such as that of no_proxy names a host: with
// commas or blanks between them a name (and what is below it), ".domain" or
// "*.domain", an address, a network, each perhaps with ":port", or "*".
func listed(list, host, port string) bool {
	host = strings.ToLower(strings.Trim(strings.TrimSuffix(host, "."), "[]"))
	ip, err := netip.ParseAddr(host)
	isIP := err == nil
	for entry := range strings.FieldsFuncSeq(strings.ToLower(list), func(c rune) bool { return c == ',' || c == ' ' || c == '\t' }) {
		if entry == "*" {
			return true
		}
		if prefix, err := netip.ParsePrefix(entry); err == nil {
			if isIP && prefix.Contains(ip.Unmap()) {
				return true
			}
			continue
		}
		name, wanted := splitPort(entry)
		if wanted != "" && wanted != port {
			continue
		}
		if other, err := netip.ParseAddr(name); err == nil {
			if isIP && other.Unmap() == ip.Unmap() {
				return true
			}
			continue
		}
		name = strings.TrimPrefix(name, "*")
		domain := "." + strings.TrimPrefix(name, ".")
		if !isIP && (strings.HasSuffix(host, domain) || !strings.HasPrefix(name, ".") && host == name) {
			return true
		}
	}
	return false
}

// splitPort takes ":port" off an entry of a list. An IPv6 address keeps its
// colons unless it stands in brackets.
func splitPort(entry string) (name, port string) {
	if rest, ok := strings.CutPrefix(entry, "["); ok {
		name, port, _ = strings.Cut(rest, "]")
		return name, strings.TrimPrefix(port, ":")
	}
	if strings.Count(entry, ":") == 1 {
		name, port, _ = strings.Cut(entry, ":")
		return name, port
	}
	return entry, ""
}
