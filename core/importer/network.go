package importer

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/route"
)

// network is how a job's programs reach both sides.
type network struct {
	fetchRoute, pushRoute route.Route
	fetchGit, pushGit     *childproc.Git
	relays                []*route.Relay
}

// connect prepares the way to both sides. Programs get a relay where something
// stands between them and the network; without that they go by themselves.
func (j *job) connect(ctx context.Context) error {
	n := &j.net
	n.fetchRoute = j.Route
	if j.Request != nil {
		if p := j.Request.Proxy; p != nil {
			with, err := n.fetchRoute.With(*p)
			if err != nil {
				return gitfail.New(core.FailSpec, gitfail.Local, "see the minion's proxy-config", "proxy: %v", err)
			}
			n.fetchRoute = with
		}
		n.fetchRoute.DenyPrivate = n.fetchRoute.DenyPrivate || j.Request.DenyPrivateAddresses
		if j.Route.Allow == "" {
			n.fetchRoute.Allow = strings.Join(j.Request.AllowAddresses, ",")
		}
	}
	n.pushRoute = n.fetchRoute
	// The Downstream Host is the operator's own.
	n.pushRoute.DenyPrivate = false
	n.fetchRoute.Authorities, n.pushRoute.Authorities = j.fetch.Authorities, j.push.Authorities
	n.fetchGit, n.pushGit = j.Git, j.Git
	via, err := j.pin(ctx)
	if err != nil {
		return err
	}
	if n.fetchGit, err = j.viaRelay(ctx, n.fetchRoute, via); err != nil {
		return err
	}
	if !j.PullOnly {
		n.pushGit, err = j.viaRelay(ctx, n.pushRoute, childproc.Via{})
	}
	return err
}

func (j *job) viaRelay(ctx context.Context, r route.Route, via childproc.Via) (*childproc.Git, error) {
	if !r.Direct() {
		relay, err := r.Relay(ctx)
		if err != nil {
			return nil, gitfail.From(err, gitfail.Local)
		}
		j.net.relays = append(j.net.relays, relay)
		via.Proxy = relay.URL()
	}
	return j.Git.Via(via), nil
}

// disconnect ends the relays. A failure whose reason only they know gets it.
func (j *job) disconnect(err error) error {
	for _, relay := range j.net.relays {
		if refused := relay.Refused(); refused != nil && err != nil && gitfail.From(err, gitfail.Upstream).Kind != core.FailKilled {
			err = gitfail.Route(refused)
		}
		relay.Close()
	}
	j.net.relays = nil
	return err
}

// pin looks up what goes neither through a relay nor through a connection of
// this process, and holds it to what was found.
func (j *job) pin(ctx context.Context) (childproc.Via, error) {
	via := childproc.Via{SSHAddress: make(map[string]string)}
	if !j.net.fetchRoute.DenyPrivate {
		return via, nil
	}
	for _, a := range j.sources() {
		kind, host, port := endpoint(a.URL)
		switch kind {
		case "http", "https", "file", "":
			continue // checked where they connect, or no connection
		case "ssh", "git":
		default:
			return via, gitfail.New(core.FailSpec, gitfail.Upstream, "use https or ssh for it",
				"upstream: with deny-private-addresses, %s cannot be used: the program that connects looks the name up once more", kind)
		}
		addrs, err := j.net.fetchRoute.Lookup(ctx, host, port)
		if errors.Is(err, route.ErrDenied) {
			return via, gitfail.Route(err)
		}
		if err != nil {
			return via, gitfail.New(core.FailNetwork, gitfail.Upstream, gitfail.Hint(core.FailNetwork, gitfail.Upstream), "upstream: %v", err)
		}
		if kind == "ssh" {
			via.SSHAddress[host] = addrs[0].String()
			continue
		}
		j.fetch.URL = strings.Replace(j.fetch.URL, hostPort(j.fetch.URL), net.JoinHostPort(addrs[0].String(), port), 1)
	}
	return via, nil
}

// sources are all addresses that the specification fetches from.
func (j *job) sources() []core.Access {
	list := []core.Access{j.fetch}
	for _, b := range j.Spec.Branches {
		list = append(list, b.Access)
	}
	for _, f := range j.Spec.Files {
		list = append(list, f.Access)
	}
	return list
}

// hostPort is the part of a URL between "//" and the path.
func hostPort(address string) string {
	_, rest, _ := strings.Cut(address, "://")
	authority, _, _ := strings.Cut(rest, "/")
	return authority[strings.LastIndexByte(authority, '@')+1:]
}

// endpoint says by what an address is reached: http, https, file, git, ssh, or
// the name of something else; and the host and port of git and ssh.
func endpoint(address string) (kind, host, port string) {
	if address == "" || strings.HasPrefix(address, "/") {
		return "", "", ""
	}
	if strings.HasPrefix(address, "lp:") {
		return "https", "", "" // Launchpad's directory, over https
	}
	scheme, _, isURL := strings.Cut(address, "://")
	if !isURL {
		rest := address
		if method, after, ok := strings.Cut(strings.TrimPrefix(address, ":"), ":"); ok && strings.HasPrefix(address, ":") {
			if method, _, _ = strings.Cut(method, ";"); method != "ext" && method != "extssh" {
				return method, "", ""
			}
			rest = after
		}
		authority, _, ok := strings.Cut(rest, ":")
		if !ok {
			return "path", "", ""
		}
		return "ssh", authority[strings.LastIndexByte(authority, '@')+1:], "22"
	}
	authority := hostPort(address)
	host, port, err := net.SplitHostPort(authority)
	if err != nil {
		host, port = strings.Trim(authority, "[]"), ""
	}
	switch {
	case strings.Contains(scheme, "ssh"):
		kind, port = "ssh", orPort(port, "22")
	case scheme == "git":
		kind, port = "git", orPort(port, "9418")
	default:
		kind = scheme
	}
	return kind, host, port
}

func orPort(port, otherwise string) string {
	if port == "" {
		return otherwise
	}
	return port
}
