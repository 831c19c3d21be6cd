package settings

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChangedNamesWhatDiffers(t *testing.T) {
	t.Parallel()
	token := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(token, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	parse := func(args ...string) *Values {
		t.Helper()
		v, err := ControllerTable("1").Parse(append(args, "--gitlab-private-token-file="+token), nil)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	write("one")
	before := parse("--log-level=info", "--file-roots=/a")
	if diff := cmp.Diff([]string(nil), parse("--log-level=info", "--file-roots=/a").Changed(before)); diff != "" {
		t.Errorf("the same (-want +got):\n%s", diff)
	}
	write("two")
	got := parse("--log-level=debug", "--file-roots=/a", "--file-roots=/b", "--keep-jobs=3d").Changed(before)
	for _, name := range []string{"log-level", "file-roots", "keep-jobs", "gitlab-private-token"} {
		found := false
		for _, g := range got {
			found = found || g == name
		}
		if !found {
			t.Errorf("%s has changed, but only %q are named", name, got)
		}
	}
	if len(got) != 4 {
		t.Errorf("want 4 names, got %q", got)
	}
}
