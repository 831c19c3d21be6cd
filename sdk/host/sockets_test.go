package host

import (
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/internal/wire"
)

func TestSocketBaseIsShort(t *testing.T) {
	long := "/" + strings.Repeat("x", 200)
	short := strings.Repeat("/xxxxxx", wire.MaxSocketBase/7)
	t.Setenv("TMPDIR", "/var/tmp")
	t.Setenv("XDG_RUNTIME_DIR", long)
	for dir, want := range map[string]string{"": "/var/tmp", short: short, long: "/tmp"} {
		if got, err := socketBase(dir); err != nil || got != want {
			t.Errorf("%.20q: want %q, got %q, %v", dir, want, got, err)
		}
	}
	if writable(long) {
		t.Error("a directory that is not there is taken")
	}
}

func TestHintForALongTemporaryDirectory(t *testing.T) {
	t.Parallel()
	if sdk.KindOf(tooLong("/a/long/one")) != sdk.Invalid || !strings.Contains(tooLong("/a/long/one").Error(), "/a/long/one has 11 bytes") {
		t.Errorf("got %v", tooLong("/a/long/one"))
	}
}
