package adapter

import (
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/sdk"
)

func TestAuthoritiesOfACAFile(t *testing.T) {
	t.Parallel()
	block := func(kind, text string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte(text)}))
	}
	one, two, key := block("CERTIFICATE", "one"), block("CERTIFICATE", "two"), block("PRIVATE KEY", "never tell")
	dir := t.TempDir()
	for name, tt := range map[string]struct{ text, want string }{
		"one":         {one, one},
		"with a key":  {"words\n" + one + key + two, one + two},
		"no PEM":      {"hello", ""},
		"a key alone": {key, ""},
		"endless":     {strings.Repeat(one, maxAuthorities/len(one)+1), ""},
	} {
		file := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
		if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := Instance{CAFile: file}.authorities()
		if diff := cmp.Diff(tt.want, got); diff != "" || (err == nil) != (tt.want != "") {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
		if err != nil && sdk.KindOf(err) != sdk.Invalid {
			t.Errorf("%s: want kind %q, got %v", name, sdk.Invalid, err)
		}
	}
	if _, err := (Instance{CAFile: filepath.Join(dir, "none")}).authorities(); sdk.KindOf(err) != sdk.Invalid {
		t.Errorf("a missing file: %v", err)
	}
	if got, err := (Instance{}).authorities(); got != "" || err != nil {
		t.Errorf("no file: %q, %v", got, err)
	}
}
