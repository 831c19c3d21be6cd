package bzrsource

import (
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
)

// TestFailure: what brz 3.3.2 wrote, each word of it.
func TestFailure(t *testing.T) {
	t.Parallel()
	for said, want := range map[string]struct {
		kind  core.FailureKind
		cause string
		hint  string
	}{
		"brz: ERROR: launchpadlib is required for Launchpad API access. Please install the launchpadlib package.\n": {
			core.FailTool, "upstream: launchpadlib is required for Launchpad API access. Please install the launchpadlib package.", "python3-launchpadlib",
		},
		"brz: ERROR: httplib2.error.ServerNotFoundError: Unable to find the server at api.launchpad.net\n\nTraceback (most recent call last):\n  File \"/usr/lib/python3/dist-packages/launchpadlib/launchpad.py\", line 494\n": {
			core.FailNetwork, "upstream: httplib2.error.ServerNotFoundError: Unable to find the server at api.launchpad.net", "usually passes",
		},
		"brz: ERROR: Invalid url supplied to transport: Unknown Launchpad path: nosuch\n": {core.FailGone, "upstream: Invalid url supplied to transport: Unknown Launchpad path: nosuch", "check the url"},
		"brz: ERROR: Not a branch: \"/x/.bzr/branch/\": location is a repository.\n":      {core.FailSpec, "upstream: Not a branch: \"/x/.bzr/branch/\": location is a repository.", "name a branch in it"},
		"brz: ERROR: Unable to import library \"fastimport\": x\n":                        {core.FailTool, "upstream: Unable to import library \"fastimport\": x", "python3-fastimport"},
		"brz: ERROR: something new\n":                                                     {core.FailOther, "upstream: brz ended with exit status 3: brz: ERROR: something new", ""},
	} {
		e := failure(&childproc.ExitError{Program: "brz", Code: 3, Stderr: said}, gitfail.Upstream)
		if e.Kind != want.kind || e.Cause != want.cause || !strings.Contains(e.Hint, want.hint) {
			t.Errorf("%q: got %+v", said, e.Failure)
		}
	}
}
