package gitlab

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/sdk/host"
)

// The table of settings in the manual is the one that the adapter describes.
// LORRY_TEST_UPDATE=1 writes it anew.
func TestReadmeHasTheSettings(t *testing.T) {
	t.Parallel()
	conn, err := connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Stop() })
	desc, err := conn.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	const begin, end = "<!-- settings -->\n", "<!-- end of settings -->"
	before, rest, _ := strings.Cut(string(raw), begin)
	got, after, ok := strings.Cut(rest, end)
	if !ok {
		t.Fatal("README.md has no marks around its table of settings")
	}
	want := settingsTable(desc.Settings)
	if os.Getenv("LORRY_TEST_UPDATE") == "1" {
		if err := os.WriteFile("README.md", []byte(before+begin+want+end+after), 0o600); err != nil {
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
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", s.Name, role, typ, s.Default, s.Doc)
	}
	return b.String()
}
