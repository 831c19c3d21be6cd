package trove_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/lorry-controller/lorry-controller/plugins/internal/plugintest"
	"github.com/lorry-controller/lorry-controller/plugins/trove"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/sshfake"
	"github.com/lorry-controller/lorry-controller/sdk/sdktest"
)

func TestMain(m *testing.M) {
	sshfake.Relay()
	goleak.VerifyTestMain(m)
}

func TestConformance(t *testing.T) {
	sdktest.Conform(t, trove.Plugin(), plugintest.GitanoFixture(t))
}

func TestConformanceOfTheProgram(t *testing.T) {
	fx := plugintest.GitanoFixture(t)
	fx.Seed = nil // the same code listed them in process
	sdktest.ConformBinary(t, sdktest.Build(t, "../../cmd/lorry-adapter-trove"), fx)
}
