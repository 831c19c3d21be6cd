// Package tool decides what becomes of a test whose tool is missing: it is
// skipped, or fails when LORRY_TEST_REQUIRE, a list with commas between, has
// the tool's name or "all".
//
// It looks for no tool itself and must not import anything of this module, so
// that every test can use it.
package tool

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// Required reports whether LORRY_TEST_REQUIRE has one of the names. Who means
// "all" too, says so: it stands for the tools that packages bring, not for a
// server that is a large download.
func Required(names ...string) bool {
	given := strings.Split(os.Getenv("LORRY_TEST_REQUIRE"), ",")
	return slices.ContainsFunc(names, func(name string) bool { return slices.Contains(given, name) })
}

// Missing ends a test for want of a tool: it is skipped with the reason, unless
// one of the names is Required.
func Missing(t testing.TB, why string, names ...string) {
	t.Helper()
	if Required(names...) {
		t.Fatalf("%s, and LORRY_TEST_REQUIRE is %q", why, os.Getenv("LORRY_TEST_REQUIRE"))
	}
	t.Skip(why)
}
