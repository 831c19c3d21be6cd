package lorryctl

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTokensAndTheAuditOverTheAPI(t *testing.T) {
	t.Parallel()
	const info = `"id": "abc", "name": "ci", "role": "viewer", "state": "active", "created": 1, "expires": 0, "last_used": 0`
	for _, test := range []struct{ command, answer, asked, stdout string }{
		{"token create --role viewer --name ci --expires 90d", `{` + info + `, "token": "lorry_abc_def"}`, "POST /1.0/tokens expires=90d&name=ci&role=viewer", "lorry_abc_def\n"},
		{
			"token list", `{"tokens": [{` + info + `}]}`, "GET /1.0/tokens",
			"ID   NAME  ROLE    STATE   CREATED              EXPIRES  LAST USED\nabc  ci    viewer  active  1970-01-01 00:00:01  never    never\n",
		},
		{"token revoke ci", `{` + info + `}`, "POST /1.0/revoke-token id=ci", "Token ci (abc) is revoked\n"},
		{
			"audit --limit 7 --before 9", `{"entries": [{"seq": 8, "time": 1, "who": "ci#abc", "from": "192.0.2.1", "action": "POST /x", "subject": "path=a\u001b[2J", "before": "1", "after": "2", "result": "ok"}]}`,
			"GET /1.0/audit?before=9&limit=7",
			"ROW  TIME                 WHO     FROM       ACTION   SUBJECT     RESULT  CHANGE\n8    1970-01-01 00:00:01  ci#abc  192.0.2.1  POST /x  path=a?[2J  ok      1 → 2\n",
		},
		{"audit verify", `{"entries": [], "last": {"seq": 0, "hash": ""}, "removed": {"seq": 0, "hash": ""}}`, "GET /1.0/audit?after=0&limit=1000", "The audit is whole: rows 1 to 0\n0:\n"},
	} {
		c := newController(t, http.StatusOK, test.answer)
		code, stdout, stderr := run(append(strings.Fields(test.command), "--addr", c.URL))
		if diff := cmp.Diff([]any{0, test.asked, test.stdout, ""}, []any{code, c.asked, stdout, stderr}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.command, diff)
		}
	}
}

func TestATamperedAuditIsAnError(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]string{
		`{"entries": [], "last": {"seq": 3, "hash": "x"}, "removed": {"seq": 0, "hash": ""}}`:                               "rows 1 to 3 are missing at the end",
		`{"entries": [{"seq": 1, "who": "a", "hash": "x"}], "last": {"seq": 1, "hash": "x"}, "removed": {"seq": 0}}`:        "row 1 was changed",
		`{"entries": [{"seq": 2, "who": "a", "hash": "x"}], "last": {"seq": 2, "hash": "x"}, "removed": {"seq": 0}}`:        "rows 1 to 1 are missing",
		`{"entries": [{"seq": 1, "hash": "x"}, {"seq": 1, "hash": "x"}], "last": {"seq": 2, "hash": "x"}, "removed": null}`: "row 1 was changed",
	} {
		c := newController(t, http.StatusOK, answer)
		code, stdout, stderr := run([]string{"audit", "verify", "--addr", c.URL})
		if code != exitError || stdout != "" || !strings.Contains(stderr, "tampered with: "+want) {
			t.Errorf("%s: got %d, %q, %q", answer, code, stdout, stderr)
		}
	}
	for _, bad := range []string{"token create", "token x", "token revoke", "audit verify x", "token create --role"} {
		if code, _, _ := run(strings.Fields(bad)); code != exitUsage {
			t.Errorf("%s: got %d", bad, code)
		}
	}
	for _, env := range [][]string{{"LORRY_CA_FILE=/nowhere"}, {"LORRY_CLIENT_CERTIFICATE=x"}, {"LORRY_CLIENT_KEY=x"}} {
		if code, _, stderr := run([]string{"status"}, env...); code == exitOK || !strings.Contains(stderr, "ERROR") {
			t.Errorf("%v: got %d, %q", env, code, stderr)
		}
	}
}
