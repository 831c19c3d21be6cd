package gitlab

import (
	"testing"

	"github.com/lorry-controller/lorry-controller/plugins/internal/plugintest"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/gitlabfake"
)

// What is said of names when the configuration is read is what comes of them,
// and needs no word with the host.
func TestNamesAreCheckedBeforeTheHostIsAsked(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, gitlabfake.Options{})
	c := downstream(t, address, nil)
	good := map[string]string{"a/b": "a/b", "Mirrors/Lib_X.y": "mirrors/lib_x.y", "a/b/c": "a/b/c"}
	bad := []string{"a", "a/gtk+", "a/libstdc++", "-a/b", "a/b.git", "a/b.atom", "api/b", "A/tree", "a//b", "a./b"}
	plugintest.ChecksNames(t, c, fake, good, bad)
}
