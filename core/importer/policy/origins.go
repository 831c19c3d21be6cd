package policy

import (
	"strings"

	"github.com/lorry-controller/lorry-controller/core/spec"
)

// Origins is Wanted the other way round: it gives the refs that the working
// area would have to have for downstream to be as it is, as far as this policy
// brings refs there. What has several places downstream counts at the first.
func (p Policy) Origins(down map[string]string) map[string]string {
	origins := make(map[string]string)
	for _, r := range p.take {
		for dst, object := range down {
			for _, src := range sources(r, dst) {
				if origins[src] == "" {
					origins[src] = object
				}
			}
		}
	}
	// Another refspec may go before the one that a source was found by.
	wanted, _ := p.Wanted(origins)
	agreed := make(map[string]string, len(wanted))
	for _, w := range wanted {
		if down[w.Dst] == w.Object {
			agreed[w.Src] = w.Object
		}
	}
	return agreed
}

// sources are the names that a refspec may bring to dst.
func sources(r spec.Refspec, dst string) []string {
	if isPattern(r.Src) {
		pattern := full(r.Src)
		if rest, ok := match(qualify(r.Dst, pattern), dst); ok {
			return []string{strings.Replace(pattern, "*", rest, 1)}
		}
		return nil
	}
	var list []string
	for _, prefix := range []string{"", "refs/heads/", "refs/tags/"} {
		if src := prefix + r.Src; strings.HasPrefix(src, "refs/") && qualify(r.Dst, src) == dst {
			list = append(list, src)
		}
	}
	return list
}
