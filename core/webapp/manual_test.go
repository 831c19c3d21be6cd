package webapp_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core/webapp"
)

// The manual's table of who may call what is this one; LORRY_TEST_UPDATE=1
// writes it.
func TestTheManualSaysWhoMayCallEachRoute(t *testing.T) {
	t.Parallel()
	const file, begin, end = "../../docs/security.md", "<!-- routes: begin -->\n", "<!-- routes: end -->\n"
	manual, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(manual), begin)
	got, after, found := strings.Cut(rest, end)
	if !ok || !found {
		t.Fatalf("%s has no place for the table of routes", file)
	}
	effects := map[webapp.Effect]string{webapp.Read: "–", webapp.Write: "yes", webapp.Traffic: "too many"}
	want := "| route | for | in the audit |\n| --- | --- | --- |\n"
	for _, route := range webapp.Routes() {
		want += fmt.Sprintf("| `%s %s` | %s | %s |\n", route.Method, route.Path, route.Access, effects[route.Effect])
	}
	if os.Getenv("LORRY_TEST_UPDATE") != "" {
		if err := os.WriteFile(file, []byte(before+begin+want+end+after), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got); run this test with LORRY_TEST_UPDATE=1:\n%s", file, diff)
	}
}
