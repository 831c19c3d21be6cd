package minion

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/settings"
)

// proxy is what proxy-config names. The original's file has no NoProxy.
type proxy struct {
	Hostname string          `json:"hostname"`
	Port     json.RawMessage `json:"port"` // the original's files have a number or a text
	Username string          `json:"username"`
	Password string          `json:"password"`
	NoProxy  string          `json:"no_proxy"`

	url string // without the credential
}

// proxyOf reads the proxy for the controller and for lorry; nil when the
// default file is not there.
func proxyOf(v *settings.Values) (*proxy, error) {
	file := v.String("proxy-config")
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) && !v.IsSet("proxy-config") {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: proxy can't be read: %w", v.Source("proxy-config"), err)
	}
	p := &proxy{}
	if err := json.Unmarshal(text, p); err != nil {
		return nil, fmt.Errorf("%s: %s is not valid JSON: %w", v.Source("proxy-config"), file, err)
	}
	port, err := portOf(p.Port)
	if err != nil || p.Hostname == "" || strings.ContainsAny(p.Hostname, "/@ \t\r\n") {
		return nil, core.Errorf(core.KindInvalid, "%s needs \"hostname\" and a \"port\" from 1 to 65535", file)
	}
	p.url = (&url.URL{Scheme: "http", Host: net.JoinHostPort(p.Hostname, port)}).String()
	return p, nil
}

func portOf(raw json.RawMessage) (string, error) {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		text = string(raw)
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || n == 0 {
		return "", fmt.Errorf("port %q is no number", text)
	}
	return strconv.FormatUint(n, 10), nil
}

// forLorry is the proxy as the importer is told of it. Like the original's, it
// serves HTTP and HTTPS.
func (p *proxy) forLorry() *protocol.Proxy {
	return &protocol.Proxy{HTTP: p.url, HTTPS: p.url, NoProxy: p.NoProxy, Username: p.Username, Password: p.Password}
}

// choose gives the proxy for a call of the controller; none on this machine.
func (p *proxy) choose(r *http.Request) (*url.URL, error) {
	if p.spares(r.URL.Hostname()) {
		return nil, nil
	}
	u, err := url.Parse(p.url)
	if err == nil && p.Username != "" {
		u.User = url.UserPassword(p.Username, p.Password)
	}
	return u, err
}

// spares reports whether a host is reached without the proxy.
func (p *proxy) spares(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	ip, err := netip.ParseAddr(host)
	if host == "localhost" || err == nil && ip.IsLoopback() {
		return true
	}
	for _, one := range strings.FieldsFunc(strings.ToLower(p.NoProxy), func(r rune) bool { return r == ',' || r == ' ' }) {
		name := strings.TrimPrefix(one, ".")
		if one == "*" || host == name || strings.HasSuffix(host, "."+name) {
			return true
		}
		if network, bad := netip.ParsePrefix(one); bad == nil && err == nil && network.Contains(ip) {
			return true
		}
	}
	return false
}
