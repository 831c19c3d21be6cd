package gitlab

import (
	"testing"

	"github.com/lorry-controller/lorry-controller/sdk/forgetest"
)

func TestReadmeHasTheSettings(t *testing.T) { forgetest.CheckReadme(t, Plugin(), "README.md") }
