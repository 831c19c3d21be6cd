package daemon

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/adapter"
	"github.com/lorry-controller/lorry-controller/core/confgit"
	"github.com/lorry-controller/lorry-controller/core/settings"
)

// downstreamInstance gives the adapter settings of the Downstream Host. The
// adapter's setting names are those of its own documentation; the daemon's are
// the original's.
func downstreamInstance(d settings.Downstream) adapter.Instance {
	i := adapter.Instance{Name: adapter.DownstreamName, Type: d.Type, Settings: map[string]any{}, Secrets: map[string]core.Secret{}}
	set := func(name, value string) {
		if value != "" {
			i.Settings[name] = value
		}
	}
	switch d.Type {
	case "local":
		base, err := filepath.Abs(d.BaseDirectory)
		if err != nil {
			base = d.BaseDirectory // the adapter refuses it in words
		}
		set("base-directory", base)
	case "gerrit":
		set("parent-project", d.GerritParent)
	case "gitlab":
		i.Secrets["private-token"] = d.GitLabToken
	case "gitea":
		i.Secrets["access-token"] = d.GiteaToken
	}
	if d.Type != "local" { // a directory has neither addresses nor visibility
		set("ssh-url", d.SSHURL)
		set("http-url", d.HTTPURL)
		set("visibility", d.Visibility)
	}
	for name, value := range d.Settings {
		i.Settings[name] = value
	}
	i.SkipCertificates = i.Type != "local" && isSet(i.Settings["check-certificates"], false)
	i.InsecureCredentials = isSet(i.Settings["insecure-credentials"], true)
	i.CAFile = caFile(i)
	return i
}

// caFile is the file of a host's own authorities, for git; an adapter finds it
// in its settings.
func caFile(i adapter.Instance) string {
	file, _ := i.Settings["ca-file"].(string)
	if i.Type == "local" {
		return ""
	}
	return file
}

// isSet reports whether a setting says yes, or no, as people write it.
func isSet(value any, yes bool) bool {
	switch v := value.(type) {
	case bool:
		return v == yes
	case string:
		words := []string{"no", "off", "false", "0"}
		if yes {
			words = []string{"yes", "on", "true", "1"}
		}
		return slices.Contains(words, strings.ToLower(v))
	default:
		return false
	}
}

// proxyURL gives the proxy of proxy.conf as the URL that programs take.
func proxyURL(p confgit.Proxy) core.Secret {
	if p.Hostname == "" {
		return core.Secret{}
	}
	u := url.URL{Scheme: "http", Host: net.JoinHostPort(p.Hostname, strconv.Itoa(p.Port))}
	if p.Username != "" {
		u.User = url.User(p.Username)
		if !p.Password.Empty() {
			u.User = url.UserPassword(p.Username, p.Password.Reveal())
		}
	}
	return core.NewSecret(u.String())
}

// readSecrets gives an adapter's secrets afresh when it starts: what is kept in
// a file may have been replaced there since.
func (d *Daemon) readSecrets(_ context.Context, i adapter.Instance) (map[string]core.Secret, error) {
	if i.Name != adapter.DownstreamName {
		return d.hostSecrets(i)
	}
	secrets, err := downstreamSecrets(i, d.live().Downstream)
	for _, secret := range secrets {
		d.redactor.Add(secret)
	}
	return secrets, err
}

// downstreamSecrets gives the secrets of an instance, those that the Downstream
// Host has in files read afresh.
func downstreamSecrets(i adapter.Instance, down settings.Downstream) (map[string]core.Secret, error) {
	if i.Name != adapter.DownstreamName {
		return i.Secrets, nil
	}
	secrets := maps.Clone(i.Secrets)
	for name, file := range down.SecretFiles {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, &core.Error{
				Kind: core.KindUnavailable, Err: err, Fact: fmt.Sprintf("the secret %q of the Downstream Host can't be read: %v", name, err),
				Hint: "put it back into that file",
			}
		}
		secrets[name] = core.NewSecret(strings.TrimSpace(string(text)))
	}
	return secrets, nil
}

// hostInstance gives the adapter settings of an Upstream Host of CONFGIT: the
// keys that CONFGIT leaves to the adapter, and the common ones under their own
// names. Unknown keys of CONFGIT are ignored, as the original did.
func hostInstance(h core.Host, s confgit.HostSecrets) adapter.Instance {
	i := adapter.Instance{
		Name: h.Name, Type: h.Type, Settings: maps.Clone(h.Settings), Secrets: maps.Clone(s.Settings),
		IgnoreUnknown: true, SkipCertificates: h.SkipCertificates,
	}
	if i.Settings == nil {
		i.Settings = map[string]any{}
	}
	if i.Secrets == nil {
		i.Secrets = map[string]core.Secret{}
	}
	if h.Type == "local" {
		return i // a directory has neither address nor credentials
	}
	i.InsecureCredentials = isSet(h.Settings["insecure-credentials"], true)
	i.CAFile = caFile(i)
	i.Settings["host"] = h.Name
	// CONFGIT wants a protocol of every host, whatever its adapter makes of it.
	i.Offered = []string{"host", "protocol", "check-certificates"}
	if h.Protocol != "" {
		i.Settings["protocol"] = h.Protocol
	}
	if h.SkipCertificates {
		i.Settings["check-certificates"] = false
	}
	if s.Username != "" {
		i.Settings["username"] = s.Username
	}
	if !s.Password.Empty() {
		i.Secrets["password"] = s.Password
	}
	if !s.Token.Empty() {
		i.Secrets["private-token"] = s.Token
	}
	return i
}

// tune applies what the settings say of a type of host.
func tune(i *adapter.Instance, a settings.Adapters) {
	i.Path, i.SHA256, i.MaxConcurrency = a.Path[i.Type], a.SHA256[i.Type], a.MaxCalls[i.Type]
}

// localRoots are the directories that local Upstream Hosts give: their Lorries
// may read below them.
func localRoots(hosts []core.Host) map[string]string {
	roots := map[string]string{}
	for _, h := range hosts {
		if path, ok := h.Settings["path"].(string); h.Type == "local" && ok && filepath.IsAbs(path) {
			roots[h.Name] = filepath.Clean(path)
		}
	}
	return roots
}

// sortedUnique puts directories into one order, each once.
func sortedUnique(dirs []string) []string {
	dirs = slices.Clone(dirs)
	slices.Sort(dirs)
	return slices.Compact(dirs)
}
