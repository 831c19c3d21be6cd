package forgetest

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/session"
	"github.com/lorry-controller/lorry-controller/sdk/host"
)

// CheckReadme fails the test unless the table of settings in a manual is the one
// that the adapter describes. The table stands between the lines
// "<!-- settings -->" and "<!-- end of settings -->"; with LORRY_TEST_UPDATE=1
// it is written anew.
func CheckReadme(t testing.TB, p *sdk.Plugin, file string) {
	t.Helper()
	desc, err := session.Describe(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- settings -->\n", "<!-- end of settings -->"
	before, rest, _ := strings.Cut(string(raw), begin)
	got, after, ok := strings.Cut(rest, end)
	if !ok {
		t.Fatalf("%s has no marks around its table of settings", file)
	}
	want := settingsTable(desc.Settings)
	if os.Getenv("LORRY_TEST_UPDATE") == "1" {
		if err := os.WriteFile(file, []byte(before+begin+want+end+after), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("run again with LORRY_TEST_UPDATE=1 (-want +got):\n%s", diff)
	}
}

func settingsTable(settings []host.Setting) string {
	var b strings.Builder
	b.WriteString("| setting | for | type | default | meaning |\n|---|---|---|---|---|\n")
	for _, s := range settings {
		role, typ := "both", s.Type
		if len(s.Roles) == 1 {
			role = string(s.Roles[0])
		}
		if len(s.OneOf) > 0 {
			typ = strings.Join(s.OneOf, ", ")
		}
		if s.Required {
			role += ", required"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", s.Name, role, typ, s.Default, s.Doc)
	}
	return b.String()
}
