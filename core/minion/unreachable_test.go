package minion

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
)

// TestWhyTheControllerRefusesIsToldOnceWithANextStep holds that another kind of
// refusal is told too: behind an outage may come a token that was revoked.
func TestWhyTheControllerRefusesIsToldOnceWithANextStep(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	w := &worker{Options: Options{Log: hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Info, DisableTime: true})}}
	away := core.Errorf(core.KindUnavailable, "connection refused")
	revoked := &core.Error{Kind: core.KindUnauthenticated, Fact: "this token was revoked", Hint: "ask an admin for another"}
	for _, err := range []error{nil, away, away, revoked, revoked, nil, nil} {
		if got := w.unreachable(err); got != (err != nil) {
			t.Errorf("%v: got %t", err, got)
		}
	}
	const failed = `[WARN]  controller does not answer as it should, trying again until it does: error=`
	want := []string{
		failed + `"connection refused" hint="see to the controller, and to what is between"`,
		failed + `"this token was revoked" hint="ask an admin for another"`,
		`[INFO]  controller answers again`,
	}
	if diff := cmp.Diff(want, strings.Split(strings.TrimSpace(log.String()), "\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
