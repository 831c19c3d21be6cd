package forges

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/integration/gerrit"
)

// TestCompatibilityTable: every adapter has a row, a way with the original's
// keys, and a README with its versions and the rights of the account; a version
// that is said to have been seen for real is also named there.
func TestCompatibilityTable(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/adapters/compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(raw)
	if !strings.Contains(page, "Gerrit "+gerrit.Version+" | real") {
		t.Errorf("the Gerrit that integration/gerrit starts, %s, is not told as real", gerrit.Version)
	}
	readmes, err := filepath.Glob("../../plugins/*/README.md")
	if err != nil || len(readmes) == 0 {
		t.Fatal("there are no adapters")
	}
	version := regexp.MustCompile(`[0-9]+\.[0-9]+\.[0-9]+`)
	for _, file := range readmes {
		kind := filepath.Base(filepath.Dir(file))
		readme, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(readme), "\n## Versions") || !regexp.MustCompile(`(?i)\brights?\b`).Match(readme) {
			t.Errorf("%s has no versions, or no rights", file)
		}
		row := regexp.MustCompile(`(?m)^\| \[` + kind + `\]\(\.\./\.\./plugins/` + kind + `/README\.md\) \|([^|]+)\|(.*)$`).FindStringSubmatch(page)
		if row == nil {
			t.Errorf("%s has no row in the table", kind)
			continue
		}
		if named := version.FindString(row[1]); strings.Contains(row[2], "real") && !strings.Contains(string(readme), named) {
			t.Errorf("%s %s is told as real, but not in %s", kind, named, file)
		}
		if !regexp.MustCompile("(?m)^\\| [^|]*`" + kind + "`").MatchString(page) {
			t.Errorf("nothing is said of the original's keys for %s", kind)
		}
	}
}
