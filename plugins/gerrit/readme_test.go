package gerrit_test

import (
	"testing"

	"github.com/lorry-controller/lorry-controller/plugins/gerrit"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest"
)

func TestReadmeHasTheSettings(t *testing.T) { forgetest.CheckReadme(t, gerrit.Plugin(), "README.md") }
