package forges

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const trapsFile = "../../docs/adapters/traps.md"

// TestTraps prints the list of traps with their tests, and fails when one has no
// test, or a test is not there.
func TestTraps(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(trapsFile)
	if err != nil {
		t.Fatal(err)
	}
	section, traps := "", map[string]int{}
	for line := range strings.Lines(string(raw)) {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			section = strings.TrimSpace(title)
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if section == "" || !strings.HasPrefix(line, "|") || strings.Contains(cells[0], "---") || strings.TrimSpace(cells[0]) == "trap" {
			continue
		}
		if len(cells) != 2 {
			t.Errorf("%q is no line of a table of two columns", line)
			continue
		}
		traps[section]++
		t.Logf("%s: %s\n\t%s", section, strings.TrimSpace(cells[0]), strings.TrimSpace(cells[1]))
		named := 0
		for group := range strings.SplitSeq(cells[1], ";") {
			named += look(t, group)
		}
		if named == 0 {
			t.Errorf("%q has no test", strings.TrimSpace(cells[0]))
		}
	}
	for _, s := range []string{"For every host", "GitLab", "Gitea and Forgejo", "Gerrit", "Gitano", "Trove", "Directories"} {
		if traps[s] == 0 {
			t.Errorf("no trap of %q is listed", s)
		}
	}
	t.Logf("%v", traps)
}

var testName = regexp.MustCompile(`\b(Test|Fuzz)\w+`)

// look counts the tests of a group "`PACKAGE` Test…, Test…" and tells of those
// that are not there.
func look(t *testing.T, group string) int {
	t.Helper()
	_, rest, _ := strings.Cut(group, "`")
	dir, rest, ok := strings.Cut(rest, "`")
	if !ok {
		t.Errorf("%q names no package", group)
		return 0
	}
	files, err := filepath.Glob(filepath.Join("../..", dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		code.Write(raw)
	}
	names := testName.FindAllString(rest, -1)
	for _, name := range names {
		if !strings.Contains(code.String(), "\nfunc "+name+"(") {
			t.Errorf("%s has no %s", dir, name)
		}
	}
	return len(names)
}
