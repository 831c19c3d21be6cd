package local_test

import (
	"testing"

	"github.com/lorry-controller/lorry-controller/plugins/local"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest"
)

func TestReadmeHasTheSettings(t *testing.T) { forgetest.CheckReadme(t, local.Plugin(), "README.md") }
