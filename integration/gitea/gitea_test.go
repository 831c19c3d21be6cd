package gitea

import (
	"os"
	"testing"

	"github.com/lorry-controller/lorry-controller/integration/realforge"
)

func build(t *testing.T) realforge.Adapter {
	t.Helper()
	return realforge.Forge{
		Program: "../../cmd/lorry-adapter-gitea", Token: "access-token", Below: "organization", Repo: "p",
		MaxDepth: 2, // Gitea has no groups within groups
	}.Build(t)
}

func TestServers(t *testing.T) {
	a := build(t)
	if s, ok := Given(); ok {
		t.Run("given", func(t *testing.T) { a.Run(t, s) })
	}
	if program := os.Getenv("LORRY_TEST_GITEA_BIN"); program != "" {
		t.Run("program", func(t *testing.T) { a.Run(t, StartProgram(t, program)) })
	}
	for _, image := range Images() {
		t.Run(image, func(t *testing.T) { a.Run(t, StartImage(t, "", image)) })
	}
}
