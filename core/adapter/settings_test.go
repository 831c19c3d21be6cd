package adapter

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/host"
)

// TestSettingsThatNobodyWroteMakeNoNoise: those that the core offers by itself are
// left out without a word when the adapter does not know them, those that stand
// in CONFGIT with one.
func TestSettingsThatNobodyWroteMakeNoNoise(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := host.Settings{
		Values:  map[string]any{"host": "git.example.com", "check-certificates": false, "group": "x", "typo": "y"},
		Secrets: map[string]sdk.Secret{"token": sdk.NewSecret("hush-hush"), "password": sdk.NewSecret("hush-too")},
	}
	desc := host.Description{Settings: []host.Setting{{Name: "group", Type: "string"}, {Name: "token", Type: "secret"}}}
	dropUnknown(s, desc, []string{"host", "check-certificates"}, hclog.New(&hclog.LoggerOptions{Output: &log, DisableTime: true}))
	if diff := cmp.Diff(map[string]any{"group": "x"}, s.Values); diff != "" || len(s.Secrets) != 1 {
		t.Errorf("left: %v (-want +got):\n%s", s.Secrets, diff)
	}
	want := "[WARN]  ignored a setting that the adapter does not know: setting=typo\n" +
		"[WARN]  ignored a secret that the adapter does not know: setting=password\n"
	if diff := cmp.Diff(want, log.String()); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}
