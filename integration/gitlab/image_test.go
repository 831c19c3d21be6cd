package gitlab

import (
	"testing"

	"github.com/lorry-controller/lorry-controller/integration/engine"
)

// The ways of a server from an image run for real: engine, image, ports, the
// command inside, the end. What is in the image is our own fake with Debian's
// git behind it.
func TestLocalImage(t *testing.T) {
	address := engine.Start(t)
	const image = "lorry-test/gitlab:local"
	program := engine.Program(t, "./testdata/gitlab")
	files := engine.Git(t)
	files["/bin/gitlab"], files["/bin/gitlab-rails"] = program, program
	engine.Build(t, address, image, files, "/bin/gitlab")
	build(t).Run(t, StartImage(t, address, image))
}
