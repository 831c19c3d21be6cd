package local

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestUnreadableDirectoryMakesAListingIncomplete(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	git(t, "init", "-q", "--bare", mkdir(t, base, "a.git"))
	locked := mkdir(t, base, "locked")
	if err := os.Chmod(locked, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.Chmod(locked, 0o755) })
	a := newAdapter(t, Settings{Path: base})
	if os.Geteuid() == 0 {
		withoutRoot(t, filepath.Dir(base), base, filepath.Join(base, "a.git"))
	}
	got, err := listed(a)
	if diff := cmp.Diff([]string{"a"}, got); diff != "" || err == nil {
		t.Errorf("want an incomplete listing, got error %v (-want +got):\n%s", err, diff)
	}
}

// withoutRoot takes from the thread of a test that root reads every directory;
// those that are named are for everybody. The thread ends with the test.
func withoutRoot(t *testing.T, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	runtime.LockOSThread()
	t.Cleanup(func() { _, _ = unix.SetfsuidRetUid(0) })
	const nobody = 65534
	if _, err := unix.SetfsuidRetUid(nobody); err != nil {
		t.Fatal(err)
	}
}
