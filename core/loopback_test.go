package core_test

import (
	"testing"

	"github.com/lorry-controller/lorry-controller/core"
)

func TestLoopback(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]bool{
		"localhost": true, "127.0.0.1": true, "127.9.8.7": true, "::1": true, "::ffff:127.0.0.1": true,
		"": false, "localhost.example.com": false, "git.example.com": false, "10.0.0.1": false, "::": false, "127.0.0.1:80": false,
	} {
		if got := core.Loopback(host); got != want {
			t.Errorf("%q: got %v, want %v", host, got, want)
		}
	}
}
