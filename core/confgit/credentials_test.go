package confgit

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lorry-controller/lorry-controller/core"
)

// TestCredentialsOfSeveralAddresses: an entry has one credential, for one host,
// and whoever gives it another one is told.
func TestCredentialsOfSeveralAddresses(t *testing.T) {
	t.Parallel()
	const first = "https://one.example.com/a?token=c4n4ry"
	for _, test := range []struct {
		second string
		warned bool
	}{
		{"https://one.example.com/b?x=1&token=c4n4ry", false},
		{"https://one.example.com/b", false},
		{"https://two.example.com/b", false},
		{"https://one.example.com/b?token=c4n4ry2", true},
		{"https://one.example.com/b?job_token=c4n4ry", true},
		{"https://c4n4ry@one.example.com/b", true},
		{"https://two.example.com/b?token=c4n4ry", true},
		{"http://one.example.com/b?token=c4n4ry", true},
	} {
		tree := memory{
			ConfFile:  `[{"type": "lorries", "interval": "1h", "prefix": "p", "globs": ["*.lorry"]}]`,
			"a.lorry": `{"files": {"type": "raw-file", "urls": [{"url": "` + first + `"}, {"url": "` + test.second + `"}]}}`,
		}
		c, err := Parse(t.Context(), tree, "c0ffee", Rules{})
		if err != nil || len(c.Lorries) != 1 {
			t.Fatalf("%s: %v, %v", test.second, err, c)
		}
		told := strings.Join(describeAll(c.Problems), "\n")
		if strings.Contains(told, "only the first credential") != test.warned || strings.Contains(c.Lorries[0].Text+told+c.Lorries[0].Repository, "c4n4ry") {
			t.Errorf("%s:\n%s\n%s", test.second, told, c.Lorries[0].Text)
		}
		want := map[string]core.Access{"p/files": {URL: "https://one.example.com/a", Secret: core.NewSecret("c4n4ry"), SecretIn: "token"}}
		if diff := cmp.Diff(want, c.Access, secretsShown(), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: %s", test.second, diff)
		}
	}
}
