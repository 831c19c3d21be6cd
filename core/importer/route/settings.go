package route

import (
	"encoding/json"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
)

// FromEnvironment reads the variables http_proxy, https_proxy, all_proxy and
// no_proxy, in lower or upper case, as most programs do. A credential in them
// is taken out of the addresses.
func FromEnvironment(env []string) (Route, error) {
	values := make(map[string]string)
	for _, line := range env {
		name, value, _ := strings.Cut(line, "=")
		lower := strings.ToLower(name)
		if value != "" && (values[lower] == "" || name == lower) {
			values[lower] = value
		}
	}
	r := Route{NoProxy: values["no_proxy"]}
	for _, variable := range []struct {
		name string
		to   *string
	}{{"http_proxy", &r.HTTPProxy}, {"https_proxy", &r.HTTPSProxy}} {
		text := values[variable.name]
		if text == "" {
			text = values["all_proxy"]
		}
		if text == "" {
			continue
		}
		address, user, password, err := splitCredential(text)
		if err != nil {
			return Route{}, core.Errorf(core.KindInvalid, "variable %s: %w", variable.name, err)
		}
		*variable.to = address
		if user != "" {
			r.Username, r.Password = user, core.NewSecret(password)
		}
	}
	return r, nil
}

// splitCredential takes the credential out of a proxy's address.
func splitCredential(text string) (address, user, password string, err error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil {
		// The error would repeat the password.
		return "", "", "", core.Errorf(core.KindInvalid, "the proxy's address is not of the form http://HOST:PORT")
	}
	if u.User != nil {
		user = u.User.Username()
		password, _ = u.User.Password()
		u.User = nil
	}
	parsed, err := ParseProxy(u.String())
	if err != nil {
		return "", "", "", err
	}
	return parsed.String(), user, password, nil
}

// ReadFile reads a proxy.conf: a JSON object with hostname, port and perhaps
// username, password and no_proxy.
func ReadFile(file string) (Route, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return Route{}, core.Errorf(core.KindInvalid, "the proxy's file cannot be read: %w", err)
	}
	var proxy struct {
		Hostname string          `json:"hostname"`
		Port     json.RawMessage `json:"port"` // the original's files have a number or a text
		Username string          `json:"username"`
		Password string          `json:"password"`
		NoProxy  string          `json:"no_proxy"`
	}
	if err := json.Unmarshal(text, &proxy); err != nil {
		return Route{}, core.Errorf(core.KindInvalid, "%s is no JSON object with hostname, port, username and password", file)
	}
	port, err := strconv.ParseUint(strings.Trim(string(proxy.Port), `"`), 10, 16)
	if err != nil || port == 0 || proxy.Hostname == "" {
		return Route{}, core.Errorf(core.KindInvalid, "%s needs \"hostname\" and a \"port\" from 1 to 65535", file)
	}
	address, err := ParseProxy("http://" + net.JoinHostPort(proxy.Hostname, strconv.FormatUint(port, 10)))
	if err != nil {
		return Route{}, core.Errorf(core.KindInvalid, "%s: \"hostname\" is no host", file)
	}
	return Route{
		HTTPProxy: address.String(), HTTPSProxy: address.String(), NoProxy: proxy.NoProxy,
		Username: proxy.Username, Password: core.NewSecret(proxy.Password),
	}, nil
}

// With gives the route with another proxy.
func (r Route) With(p protocol.Proxy) (Route, error) {
	r.HTTPProxy, r.HTTPSProxy, r.NoProxy = p.HTTP, p.HTTPS, p.NoProxy
	r.Username, r.Password = p.Username, core.NewSecret(p.Password)
	return r, r.Check()
}
