package tool

import (
	"fmt"
	"runtime"
	"testing"
)

// ended is a test that tells how it ended.
type ended struct {
	testing.TB
	how string
}

func (e *ended) Helper() {}

func (e *ended) Skip(...any) { e.end("skipped") }

func (e *ended) Fatalf(string, ...any) { e.end("failed") }

func (e *ended) end(how string) {
	e.how = how
	runtime.Goexit()
}

func TestMissing(t *testing.T) {
	for _, c := range []struct{ required, want string }{
		{"", "skipped"},
		{"other", "skipped"},
		{"sshd-session", "skipped"},
		{"sshd", "failed"},
		{"git,sshd", "failed"},
		{"all", "failed"},
	} {
		t.Setenv("LORRY_TEST_REQUIRE", c.required)
		if got := end("all", "sshd"); got != c.want {
			t.Errorf("with %q: %s, want %s", c.required, got, c.want)
		}
	}
	// A large server has to be named.
	t.Setenv("LORRY_TEST_REQUIRE", "all")
	if got := end("gerrit"); got != "skipped" {
		t.Errorf(`with "all", a server that only its name requires: %s`, got)
	}
}

func end(names ...string) string {
	e := &ended{how: "went on"}
	done := make(chan struct{})
	go func() {
		defer close(done)
		Missing(e, fmt.Sprint(names, " missing"), names...)
	}()
	<-done
	return e.how
}
