package gitano_test

import (
	"testing"

	"github.com/lorry-controller/lorry-controller/plugins/gitano"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest"
)

func TestReadmeHasTheSettings(t *testing.T) { forgetest.CheckReadme(t, gitano.Plugin(), "README.md") }
