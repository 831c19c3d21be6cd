package gitea

import (
	"testing"

	"github.com/lorry-controller/lorry-controller/plugins/internal/plugintest"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/giteafake"
)

// What is said of names when the configuration is read is what comes of them,
// and needs no word with the host.
func TestNamesAreCheckedBeforeTheHostIsAsked(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, giteafake.Options{})
	c := downstream(t, address, nil)
	good := map[string]string{"a/b": "a/b", "Mirrors/Lib_X.y": "mirrors/lib_x.y"}
	bad := []string{"a", "a/b/c", "a/gtk+", "a/b.git", "a/b.wiki", "a/b.rss", "api/b", "Admin/b", "a/..", "a/-", "_a/b", "a--b/c"}
	plugintest.ChecksNames(t, c, fake, good, bad)
}
