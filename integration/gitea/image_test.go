package gitea

import (
	"testing"

	"github.com/lorry-controller/lorry-controller/integration/engine"
)

// The ways of a server from an image run for real: engine, image, ports, the
// command inside, the end. What is in the image is our own fake with Debian's
// git behind it.
func TestLocalImage(t *testing.T) {
	address := engine.Start(t)
	const image = "lorry-test/gitea:local"
	program := engine.Program(t, "./testdata/gitea")
	files := engine.Git(t)
	files["/bin/gitea"], files["/bin/su-exec"] = program, program
	engine.Build(t, address, image, files, "/bin/gitea")
	build(t).Run(t, StartImage(t, address, image))
}
