package host

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/sdk"
)

func TestSettingsAreCheckedAgainstTheDescription(t *testing.T) {
	t.Parallel()
	desc := Description{Settings: []Setting{
		{Name: "url", Type: "url", Required: true, Doc: "Address."},
		{Name: "mode", Type: "string", OneOf: []string{"all", "public"}},
		{Name: "pages", Type: "int"},
		{Name: "pause", Type: "duration"},
		{Name: "deep", Type: "bool"},
		{Name: "groups", Type: "list", Required: true, Default: "a"},
		{Name: "visibility", Type: "string", Required: true, Roles: []sdk.Role{sdk.RoleDownstream}},
		{Name: "token", Type: "secret", Required: true},
	}}
	good := func() Settings {
		return Settings{
			Role:    sdk.RoleUpstream,
			Values:  map[string]any{"url": "https://git.example.com/", "mode": "all", "pages": 3, "pause": "1m", "deep": "yes", "groups": "a, b"},
			Secrets: map[string]sdk.Secret{"token": sdk.NewSecret("canary-5f3a9c")},
		}
	}
	for name, tc := range map[string]struct {
		change func(s Settings) Settings
		want   []string
	}{
		"good":           {func(s Settings) Settings { return s }, nil},
		"unknown":        {func(s Settings) Settings { s.Values["ulr"] = "x"; return s }, []string{`there is no setting "ulr"`}},
		"missing":        {func(s Settings) Settings { delete(s.Values, "url"); return s }, []string{`"url" is missing`}},
		"empty list":     {func(s Settings) Settings { s.Values["groups"] = ""; return s }, []string{`"groups" is empty`}},
		"other role":     {func(s Settings) Settings { s.Role = sdk.RoleDownstream; return s }, []string{`"visibility" is missing`}},
		"none of these":  {func(s Settings) Settings { s.Values["mode"] = "some"; return s }, []string{`"mode" must be one of all, public, not "some"`}},
		"no secret":      {func(s Settings) Settings { s.Secrets = nil; return s }, []string{`"token" is missing`}},
		"unknown secret": {func(s Settings) Settings { s.Secrets["key"] = sdk.NewSecret("x"); return s }, []string{`there is no secret setting "key"`}},
		"plain secret": {
			func(s Settings) Settings { s.Values["token"] = "canary-5f3a9c"; return s },
			[]string{`"token" is a secret and must not stand among the settings`},
		},
		"all at once": {
			func(s Settings) Settings {
				s.Values = map[string]any{"url": 1, "pages": "many", "pause": "soon", "deep": "perhaps", "groups": map[string]any{}}
				return s
			},
			[]string{
				`"url" must be a string, not a number`, `"pages" must be a whole number`,
				`"pause" must be a duration such as "90s" or "1h30m", or a number of seconds`,
				`"deep" must be true or false`, `"groups" must be a list of strings, not an object`,
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, d := range desc.Diagnose(tc.change(good())) {
				got = append(got, d.Summary)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSecretsAreKnownInManyShapes(t *testing.T) {
	t.Parallel()
	r := &Redactor{}
	r.Add("canary \"of<the>\"\\mine", "-----BEGIN KEY-----\nbGluZS1vbmUtb2YtYS1rZXk\nbGluZS10d28tb2YtYS1rZXk\n-----END KEY-----\n")
	r.issued("an-issued-access-token")
	for _, s := range []string{
		`canary "of<the>"\mine`, `canary \"of<the>\"\\mine`, `canary \"of\u003cthe\u003e\"\\mine`, "canary+%22of%3Cthe%3E%22%5Cmine",
		"63616e61727920226f663c7468653e225c6d696e65", "bGluZS1vbmUtb2YtYS1rZXk", "bGluZS10d28tb2YtYS1rZXk",
	} {
		if got := r.Redact("x " + s + " y"); got != "x [secret] y" {
			t.Errorf("%q: got %q", s, got)
		}
		if !r.Found("x " + s + " y") {
			t.Errorf("%q is not found", s)
		}
	}
	if got := r.Redact("-----BEGIN KEY-----"); got != "-----BEGIN KEY-----" {
		t.Errorf("what every key has is gone: %q", got)
	}
	if r.Found("https://git.example.com/an-issued-access-token") {
		t.Error("an issued secret is looked for in text for machines")
	}
}
