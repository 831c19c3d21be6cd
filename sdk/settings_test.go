package sdk

import (
	"encoding/json"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

type everything struct {
	Text   string        `setting:"text" doc:"A text." default:"x" oneof:"x,y"`
	Flag   bool          `setting:"flag" doc:"A flag."`
	Number int           `setting:"number" doc:"A number." default:"7"`
	Pause  time.Duration `setting:"pause" doc:"A pause." default:"1m"`
	Server *url.URL      `setting:"server" doc:"A URL." required:"true" role:"upstream"`
	Names  []string      `setting:"names" doc:"Names."`
	Token  Secret        `setting:"token" doc:"A secret."`
	Other  string        // no setting
}

func decodeEverything(values map[string]any, secrets map[string][]byte, role Role) (everything, []Diagnostic) {
	fields, _ := schemaOf(reflect.TypeFor[everything]())
	return decodeSettings[everything](fields, values, secrets, role)
}

func TestSettingsAreDecoded(t *testing.T) {
	t.Parallel()
	server := &url.URL{Scheme: "https", Host: "git.example.com", Path: "/"}
	for name, tc := range map[string]struct {
		values map[string]any
		want   everything
	}{
		"defaults": {
			map[string]any{"server": "https://git.example.com/"},
			everything{Text: "x", Number: 7, Pause: time.Minute, Server: server},
		},
		"types of JSON": {
			map[string]any{"server": "https://git.example.com/", "text": "y", "flag": true, "number": 3.0, "pause": 90.0, "names": []any{"a", "b"}},
			everything{Text: "y", Flag: true, Number: 3, Pause: 90 * time.Second, Server: server, Names: []string{"a", "b"}},
		},
		"text of an INI file": {
			map[string]any{"server": "https://git.example.com/", "flag": "yes", "number": "3", "pause": "1h30m", "names": "a, b,"},
			everything{Text: "x", Flag: true, Number: 3, Pause: 90 * time.Minute, Server: server, Names: []string{"a", "b"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, diags := decodeEverything(tc.values, map[string][]byte{"token": []byte("hush")}, RoleUpstream)
			if len(diags) > 0 {
				t.Fatal(diags)
			}
			if got.Token.Reveal() != "hush" {
				t.Error("the secret is lost")
			}
			if diff := cmp.Diff(tc.want, got, cmpopts.IgnoreTypes(Secret{})); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEverythingThatIsWrongIsToldAtOnce(t *testing.T) {
	t.Parallel()
	_, diags := decodeEverything(map[string]any{
		"text": "z", "flag": "maybe", "number": 1.5, "pause": "-3", "server": "https://me:pw@git.example.com", "names": []any{1.0},
		"token": "hush", "unknown": 1.0,
	}, map[string][]byte{"text": []byte("x")}, RoleUpstream)
	var got []string
	for _, d := range diags {
		got = append(got, d.Path+": "+d.Summary)
	}
	want := []string{
		`token: "token" is a secret and must not stand among the settings`,
		`unknown: there is no setting "unknown"`,
		`text: there is no secret setting "text"`,
		`text: "text" must be one of x, y, not "z"`,
		`flag: "flag" must be true or false`,
		`number: "number" must be a whole number`,
		`pause: "pause" must be a duration such as "90s" or "1h30m", or a number of seconds`,
		`server: "server" must not have a user or password in the URL`,
		`names: "names" must be a list of strings; one item is a number`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("diagnostics (-want +got):\n%s", diff)
	}
	if raw, err := json.Marshal(diags); err != nil || strings.Contains(string(raw), "pw@") {
		t.Errorf("the diagnostics show a password: %s", raw)
	}
}

func TestRoleDecidesWhatIsRequired(t *testing.T) {
	t.Parallel()
	for role, want := range map[Role]int{RoleUpstream: 1, RoleDownstream: 0, RoleUnknown: 0} {
		if _, diags := decodeEverything(nil, nil, role); len(diags) != want {
			t.Errorf("role %q: want %d diagnostics, got %v", role, want, diags)
		}
	}
	_, diags := decodeEverything(map[string]any{"server": "https://git.example.com/"}, nil, RoleDownstream)
	if len(diags) != 1 || diags[0].Severity != SeverityWarning {
		t.Errorf("a setting of the other role: %v", diags)
	}
}

func TestDefinitionsThatCannotWorkAreTold(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		settings any
		want     string
	}{
		"type": {struct {
			A float64 `setting:"a" doc:"d"`
		}{}, "is not one of string"},
		"doc": {struct {
			A string `setting:"a"`
		}{}, "there is no doc tag"},
		"name": {struct {
			A string `setting:"A b" doc:"d"`
		}{}, "not lower-case"},
		"unexported": {struct {
			a string `setting:"a" doc:"d"`
		}{}, "not exported"},
		"twice": {struct {
			A string `setting:"a" doc:"d"`
			B string `setting:"a" doc:"d"`
		}{}, "two settings"},
		"default": {struct {
			A int `setting:"a" doc:"d" default:"x"`
		}{}, "the default must be a whole number"},
		"secret": {struct {
			A Secret `setting:"a" doc:"d" default:"x"`
		}{}, "can't have a default"},
		"role": {struct {
			A string `setting:"a" doc:"d" role:"both"`
		}{}, `there is no role "both"`},
		"struct": {1, "not a struct"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, problems := schemaOf(reflect.TypeOf(tc.settings))
			if len(problems) != 1 || !strings.Contains(problems[0], tc.want) {
				t.Errorf("want %q, got %q", tc.want, problems)
			}
		})
	}
}

func FuzzDecodeSettings(f *testing.F) {
	f.Add(`{"server":"https://git.example.com/","number":3,"names":["a"]}`)
	f.Add(`{"pause":1e300,"flag":null,"text":{}}`)
	f.Fuzz(func(t *testing.T, raw string) {
		var values map[string]any
		if json.Unmarshal([]byte(raw), &values) != nil {
			return
		}
		c, diags := decodeEverything(values, nil, RoleUpstream)
		if len(diags) == 0 && (c.Server == nil || c.Pause < 0 || c.Text != "x" && c.Text != "y") {
			t.Errorf("%s gives %+v", raw, c)
		}
	})
}
