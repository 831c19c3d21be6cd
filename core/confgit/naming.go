package confgit

import (
	"fmt"
	"net/url"
	"path"
	"strings"

	"github.com/lorry-controller/lorry-controller/core/spec"
)

// lorryOf gives the path of the Lorry that mirrors an address, or "".
func lorryOf(c *Config, address string) string {
	for _, l := range c.Lorries {
		specs, _ := spec.Parse("", []byte(l.Text))
		for _, one := range specs {
			if one.Access.URL == address {
				return l.Path
			}
		}
	}
	return ""
}

// mirrorName makes the downstream path for an address: the path on a host, the
// last component of a path on this machine.
func mirrorName(address string) string {
	name := address
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		name = u.Path
	} else if _, rest, scp := strings.Cut(address, ":"); scp && !strings.HasPrefix(address, "/") && u == nil {
		name = rest
	} else {
		name = path.Base(strings.TrimSuffix(strings.TrimSuffix(strings.TrimRight(name, "/"), ".git"), "/"))
	}
	var parts []string
	for part := range strings.SplitSeq(strings.TrimSuffix(strings.TrimRight(name, "/"), ".git"), "/") {
		if part = safeName(part); part != "" {
			parts = append(parts, part)
		}
	}
	if name = strings.Join(parts, "/"); name == "" || spec.CheckPath(name) != nil {
		return "mirror"
	}
	return name
}

// safeName replaces what a name should not have.
func safeName(name string) string {
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r) {
			return r
		}
		return '-'
	}, name)
	return strings.Trim(name, ".-")
}

// free gives the name, or the name with the first number that is not taken.
func free(name string, taken func(string) bool) string {
	for i := 2; ; i++ {
		if !taken(name) {
			return name
		}
		name = fmt.Sprintf("%s-%d", strings.TrimSuffix(name, fmt.Sprintf("-%d", i-1)), i)
	}
}
