package gitlab

import (
	"testing"

	"github.com/lorry-controller/lorry-controller/integration/realforge"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/tool"
)

func build(t *testing.T) realforge.Adapter {
	t.Helper()
	return realforge.Forge{
		Program: "../../cmd/lorry-adapter-gitlab", Token: "private-token", Below: "group", Repo: "sub/p",
		Push: map[string]any{"unprotect-branches": true}, // or rewritten history is refused
		Refs: []string{"refs/heads/", "refs/tags/"},      // GitLab keeps refs of its own beside these
	}.Build(t)
}

func TestServers(t *testing.T) {
	given, ok := Given()
	if !ok && len(Images()) == 0 {
		tool.Missing(t, "neither LORRY_TEST_GITLAB_URL nor LORRY_TEST_GITLAB_IMAGES names a server", "gitlab")
	}
	a := build(t)
	if ok {
		t.Run("given", func(t *testing.T) { a.Run(t, given) })
	}
	for _, image := range Images() {
		t.Run(image, func(t *testing.T) { a.Run(t, StartImage(t, "", image)) })
	}
}
