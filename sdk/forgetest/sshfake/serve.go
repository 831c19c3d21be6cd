package sshfake

import (
	"testing"

	"github.com/lorry-controller/lorry-controller/sdk/forgetest/tool"
)

// Serve starts a server that ends with the test. Without OpenSSH's server the
// test is skipped, or fails when LORRY_TEST_REQUIRE names sshd or "all".
func Serve(t testing.TB, handler Handler) *Server {
	t.Helper()
	if Program() == "" {
		tool.Missing(t, "sshd is not installed", "all", "sshd")
	}
	s, err := Start(handler)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
