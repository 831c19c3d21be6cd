package daemon

import (
	"maps"
	"os"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/adapter"
	"github.com/lorry-controller/lorry-controller/core/confgit"
	"github.com/lorry-controller/lorry-controller/core/settings"
)

// secretSource is where the secrets are that CONFGIT only names.
func secretSource(c settings.Confgit) *confgit.SecretSource {
	return &confgit.SecretSource{Dir: c.Secrets, Getenv: os.LookupEnv}
}

// afresh reads the secrets of an Upstream Host again that are kept outside of
// CONFGIT. Those that are in it stay.
func (d *Daemon) afresh(i adapter.Instance, s confgit.HostSecrets) (map[string]core.Secret, error) {
	fresh, err := s.Afresh(secretSource(d.config.Confgit))
	if err != nil || len(fresh) == 0 {
		return i.Secrets, err
	}
	secrets := maps.Clone(i.Secrets)
	maps.Copy(secrets, fresh)
	for _, secret := range fresh {
		d.redactor.Add(secret)
	}
	return secrets, nil
}

// hostSecrets are those of an Upstream Host as CONFGIT says now.
func (d *Daemon) hostSecrets(i adapter.Instance) (map[string]core.Secret, error) {
	if d.confgit == nil || d.confgit.Config() == nil {
		return i.Secrets, nil
	}
	return d.afresh(i, d.confgit.Config().Secrets[i.Name])
}

// upstreamInstance is an Upstream Host with its secrets as they are now. What
// can't be read is told when its adapter starts, which reads it again.
func (d *Daemon) upstreamInstance(h core.Host, s confgit.HostSecrets) adapter.Instance {
	i := hostInstance(h, s)
	if secrets, err := d.afresh(i, s); err == nil {
		i.Secrets = secrets
	}
	return i
}

// freshProxy is the proxy of proxy.conf with its password as it is now.
func (d *Daemon) freshProxy(p confgit.Proxy) confgit.Proxy {
	if p.Ref == (confgit.SecretRef{}) {
		return p
	}
	password, err := secretSource(d.config.Confgit).Read(p.Ref)
	if err != nil {
		d.log.Warn("the password of the proxy can't be read again, so the one before is used", "err", err)
		return p
	}
	d.redactor.Add(password)
	p.Password = password
	return p
}
