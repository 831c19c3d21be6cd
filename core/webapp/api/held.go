package api

import (
	"context"
	"net"
	"strings"

	"github.com/lorry-controller/lorry-controller/core/queue"
)

// bareName is a host's name as the run queue knows it, and as it stands in a
// Lorry's URL: in lower case and without a port.
func bareName(host string) string {
	if bare, _, err := net.SplitHostPort(host); err == nil {
		host = bare
	}
	return strings.ToLower(host)
}

// heldNames are the names by which the run queue holds a host: its own, and,
// when CONFGIT calls an Upstream Host otherwise than the URLs of its Lorries do,
// the one in these.
func (a *API) heldNames(ctx context.Context, host string) ([]string, error) {
	names := []string{bareName(host)}
	some, err := a.queue.FindLorries(ctx, queue.LorryFilter{Host: host, Limit: 1})
	if err != nil {
		return nil, err
	}
	for _, l := range some.Lorries {
		if l.Host == host && l.UpstreamHost != "" && l.UpstreamHost != names[0] {
			names = append(names, l.UpstreamHost)
		}
	}
	return names, nil
}
