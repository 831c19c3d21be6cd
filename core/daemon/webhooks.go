package daemon

import (
	"fmt"
	"os"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/webapp/webhook"
)

// maxSecretFile bounds the file of a webhook's secrets, in bytes.
const maxSecretFile = 64 << 10

// webhooks makes what takes the forges' webhooks.
func (d *Daemon) webhooks() *webhook.Webhooks {
	return webhook.New(webhook.Options{
		Queue: d.queue, Secrets: d.webhookSecrets, Count: d.metrics.Webhook, Clock: d.clock.now, Log: d.log.Named("webhook"),
	})
}

// webhookSecrets reads the secrets of a webhook, so that a change needs no
// restart: each line of its file that is not empty is one, so that the old one
// can stay until all forges have the new one.
func (d *Daemon) webhookSecrets(name string) ([]core.Secret, error) {
	file, ok := d.live().Webhooks[name]
	if !ok {
		return nil, nil
	}
	info, err := os.Stat(file)
	if err == nil && info.Size() > maxSecretFile {
		err = fmt.Errorf("it has %d bytes", info.Size())
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(file)
	}
	if err != nil {
		d.log.Error("secrets of a webhook can't be read", "webhook", name, "file", file, "err", err)
		return nil, core.Errorf(core.KindUnavailable, "secret of this webhook can't be read now; the controller's log says why")
	}
	var secrets []core.Secret
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" {
			secrets = append(secrets, core.NewSecret(line))
		}
	}
	d.redactor.Add(secrets...)
	return secrets, nil
}
