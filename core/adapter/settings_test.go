package adapter

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/host"
)

// TestSettingsThatNobodyWroteMakeNoNoise: those that the core offers by itself are
// left out without a word when the adapter does not know them, those that stand
// in CONFGIT with one.
func TestSettingsThatNobodyWroteMakeNoNoise(t *testing.T) {
	t.Parallel()
	s := host.Settings{
		Values:  map[string]any{"host": "git.example.com", "check-certificates": false, "group": "x", "typo": "y"},
		Secrets: map[string]sdk.Secret{"token": sdk.NewSecret("hush-hush"), "password": sdk.NewSecret("hush-too")},
	}
	desc := host.Description{Name: "forge", Settings: []host.Setting{{Name: "group", Type: "string"}, {Name: "token", Type: "secret"}}}
	got := dropUnknown(s, desc, []string{"host", "check-certificates"})
	if diff := cmp.Diff(map[string]any{"group": "x"}, s.Values); diff != "" || len(s.Secrets) != 1 {
		t.Errorf("left: %v (-want +got):\n%s", s.Secrets, diff)
	}
	const hint = `"lorry-adapter-forge describe" names its settings`
	want := []Doubt{
		{"typo", `the forge adapter does not know the setting "typo", which is ignored`, hint},
		{"password", `the forge adapter does not know the setting "password", which is ignored`, hint},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("doubts (-want +got):\n%s", diff)
	}
}
