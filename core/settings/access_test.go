package settings_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core/settings"
)

func access(args ...string) (settings.Access, error) {
	table := settings.ControllerTable("1")
	table.Etc = "/nowhere"
	values, err := table.Parse(append(args, "--data=/d"), nil)
	if err != nil {
		return settings.Access{}, err
	}
	c, err := settings.NewController(values, true)
	return c.Access, err
}

func TestWhoMayReachTheAPIIsChecked(t *testing.T) {
	t.Parallel()
	got, err := access("--insecure-no-auth", "--metrics-public", "--tls-certificate=/c", "--tls-key=/k", "--minion-ca=/m", "--keep-audit=365d")
	want := settings.Access{Off: true, MetricsPublic: true, Certificate: "/c", Key: "/k", MinionCA: "/m", KeepAudit: 365 * 24 * time.Hour}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if got, err = access(); err != nil || got != (settings.Access{}) {
		t.Errorf("nothing said: %+v, %v", got, err)
	}
	for args, want := range map[string]string{
		"--tls-key=/k":         "needs tls-certificate",
		"--tls-certificate=/c": "needs tls-key",
		"--minion-ca=/m":       "need TLS",
		"--tls-certificate=/c --tls-key=/k --wsgi": "web server in front",
	} {
		if _, err := access(strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: want %q, got %v", args, want, err)
		}
	}
}
