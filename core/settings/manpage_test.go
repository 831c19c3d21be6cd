package settings

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"
)

func TestManPage(t *testing.T) {
	t.Parallel()
	table := Table{
		Program: "thing", Version: "1.2", Usage: "FILE...", Summary: "Does things.\n\n.Never others.",
		Options: []Option{{Name: "depth", Short: "d", Kind: Int, Default: "3", Metavar: "N", Doc: `Go N deep (not "\n").`}, {Name: "old", Unused: "it is over"}},
	}
	v, err := table.Parse([]string{"--manual", "--no-default-configs"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if asked, err := v.Inform(&out); !asked || err != nil {
		t.Fatal(asked, err)
	}
	page := out.String()
	for _, want := range []string{".TH THING 1", ".B \\-d, \\-\\-depth=N\nGo N deep (not \"\\en\"). Default: 3.\n", "\\&.Never others.", ".SH FILES"} {
		if !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	}
	if strings.Contains(page, `\-\-old`) {
		t.Error("an option that has no effect is listed")
	}
	if _, err := exec.LookPath("groff"); err != nil {
		return // what it looks like, only a machine with groff can tell
	}
	cmd := exec.Command("groff", "-man", "-Tascii", "-ww")
	cmd.Stdin = strings.NewReader(page)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	if err := cmd.Run(); err != nil || complaints.Len() > 0 {
		t.Errorf("%v: %s", err, complaints.String())
	}
}
