package cli

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// asLorry makes the test binary be lorry, so that tests have a real process.
const asLorry = "LORRY_TEST_AS_LORRY"

func TestMain(m *testing.M) {
	if os.Getenv(asLorry) != "" {
		os.Exit(Main(os.Args[1:], os.Environ(), "test", os.Stdout, os.Stderr))
	}
	goleak.VerifyTestMain(m)
}
