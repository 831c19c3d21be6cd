package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

type handSettings struct {
	Name  string `setting:"name" doc:"A name." required:"true"`
	Token Secret `setting:"token" doc:"A secret."`
}

type handAdapter struct{ s handSettings }

func (handAdapter) Ensure(context.Context, Want) (Have, error) { return Have{}, nil }

func (a handAdapter) Check(context.Context) (Report, error) {
	if a.s.Name == "bad" {
		return Report{}, Errorf(Unauthenticated, "the token is refused")
	}
	return Report{
		Diagnostics: []Diagnostic{{Severity: SeverityWarning, Path: "name", Summary: "is short"}},
		ExpiresAt:   time.Date(2030, 1, 2, 0, 0, 0, 0, time.UTC),
	}, nil
}

func TestAdapterAnswersByHand(t *testing.T) {
	t.Parallel()
	file := func(content string) string {
		path := filepath.Join(t.TempDir(), "settings.json")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	p := Define("hand", func(_ context.Context, _ Env, s handSettings) (handAdapter, error) { return handAdapter{s}, nil }, WithVersion("1.2"))
	for name, tc := range map[string]struct {
		args     []string
		code     int
		out, err string
	}{
		"nothing":       {nil, 2, "", "describe"},
		"help":          {[]string{"--help"}, 0, "describe", ""},
		"version":       {[]string{"version"}, 0, "lorry-adapter-hand 1.2", ""},
		"describe":      {[]string{"describe"}, 0, `"ROLE_DOWNSTREAM"`, ""},
		"good settings": {[]string{"check", "-settings", file(`{"settings":{"name":"a"},"secrets":{"token":"hush-hush"}}`)}, 0, "warning: name: is short\nthe credentials stop working on 2030-01-02\nok", ""},
		"bad settings":  {[]string{"check", "-settings", file(`{"settings":{"nam":"a"}}`)}, 1, `"name" is missing`, "can't be used"},
		"bad host":      {[]string{"check", "-settings", file(`{"settings":{"name":"bad"}}`)}, 1, "", "the token is refused"},
		"no JSON":       {[]string{"check", "-settings", file(`name = a`)}, 1, "", "not a JSON object"},
		"no file":       {[]string{"check", "-settings", filepath.Join(t.TempDir(), "none")}, 1, "", "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out, errOut bytes.Buffer
			code := byHand(t.Context(), p, tc.args, &out, &errOut)
			if code != tc.code || !strings.Contains(out.String(), tc.out) || !strings.Contains(errOut.String(), tc.err) {
				t.Errorf("want %d, %q, %q; got %d, %q, %q", tc.code, tc.out, tc.err, code, out.String(), errOut.String())
			}
			if strings.Contains(out.String()+errOut.String(), "hush-hush") {
				t.Error("the secret is printed")
			}
			if name == "describe" && !json.Valid(out.Bytes()) {
				t.Error("what it describes is not JSON")
			}
		})
	}
}

func TestDebugSaysThatATemporaryDirectoryIsTooLong(t *testing.T) {
	t.Setenv("TMPDIR", "/"+strings.Repeat("x", 100))
	var out, errOut bytes.Buffer
	p := Define("hand", func(_ context.Context, _ Env, s handSettings) (handAdapter, error) { return handAdapter{s}, nil })
	if code := byHand(t.Context(), p, []string{"-debug"}, &out, &errOut); code != 1 || !strings.Contains(errOut.String(), "set TMPDIR to a shorter one") {
		t.Errorf("got %d, %q", code, errOut.String())
	}
}
