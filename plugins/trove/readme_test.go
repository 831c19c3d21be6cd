package trove_test

import (
	"testing"

	"github.com/lorry-controller/lorry-controller/plugins/trove"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest"
)

func TestReadmeHasTheSettings(t *testing.T) { forgetest.CheckReadme(t, trove.Plugin(), "README.md") }
