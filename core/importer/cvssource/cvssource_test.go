package cvssource

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const answer = "\nRCS file: /r/mod/a,v\nhead: 1.2\nbranch:\nlocks: strict\naccess list:\nsymbolic names:\n\tbr: 1.2.0.2\n\tv1: 1.1\n\tVENDOR: 1.1.1\nkeyword substitution: kv\ntotal revisions: 3\n" +
	"=============================================================================\n\nRCS file: /r/mod/Attic/b,v\nhead: 1.2\nsymbolic names:\n\tv1: 1.1\n\tv2: 1.1\nkeyword substitution: kv\ntotal revisions: 2;\tselected revisions: 0\n"

func TestParse(t *testing.T) {
	t.Parallel()
	f, err := parse(strings.NewReader(answer), nil)
	if err != nil || f.files != 2 || f.total != 5 {
		t.Fatalf("got %+v, %v", f, err)
	}
	if diff := cmp.Diff(map[string]bool{"br": true, "VENDOR": true}, f.branches); diff != "" {
		t.Error(diff)
	}
	if len(f.tags) != 2 || f.tags["v1"] == f.tags["v2"] {
		t.Errorf("got %v", f.tags)
	}
	for name, change := range map[string]struct {
		from, to       string
		state, symbols bool // whether they are to differ
	}{
		"nothing":     {"", "", false, false},
		"commit":      {"total revisions: 3", "total revisions: 4", true, false},
		"tag":         {"\tv1: 1.1\n\tVENDOR", "\tv1: 1.2\n\tVENDOR", true, true},
		"dead":        {"/Attic/", "/", true, false},
		"another tag": {"\tv2: 1.1\n", "\tv2: 1.1\n\tv3: 1.1\n", true, true},
	} {
		g, err := parse(strings.NewReader(strings.Replace(answer, change.from, change.to, 1)), nil)
		if err != nil || (g.digest("r", "m") != f.digest("r", "m")) != change.state || (g.symbols != f.symbols) != change.symbols {
			t.Errorf("%s: state differs: %v, symbols differ: %v, %v", name, g.digest("r", "m") != f.digest("r", "m"), g.symbols != f.symbols, err)
		}
	}
	if f.digest("r", "m") == f.digest("r", "n") {
		t.Error("another module has the same digest")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(answer)
	f.Add("total revisions: -1\n")
	f.Add("symbolic names:\n\tx\n")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := parse(strings.NewReader(text), nil)
		if err != nil {
			return
		}
		b, err := parse(strings.NewReader(text), newTagged())
		if err != nil || a.total < 0 || a.digest("r", "m") != b.digest("r", "m") {
			t.Errorf("%+v, %+v, %v", a, b, err)
		}
	})
}

// TestPasswordLine: the algorithm's own example, and every character once.
func TestPasswordLine(t *testing.T) {
	t.Parallel()
	seen := make(map[byte]bool)
	for c := byte(' '); c <= '~'; c++ {
		text, err := scramble(string(rune(c)))
		if err != nil || len(text) != 2 || seen[text[1]] {
			t.Errorf("%q: %q, %v", c, text, err)
		}
		seen[text[1]] = true
	}
	access := core.Access{URL: ":pserver:ali@example.org:/cvs", Username: "ali", Secret: core.NewSecret("foo")}
	for _, test := range []struct {
		send bool
		url  string
		want string
	}{
		{true, access.URL, "/1 :pserver:ali@example.org:2401/cvs AE00\n"},
		{false, access.URL, "/1 :pserver:ali@example.org:2401/cvs A\n"},
		{true, ":pserver:ali@example.org:99/cvs", "/1 :pserver:ali@example.org:99/cvs AE00\n"},
		{true, ":ext:ali@example.org:/cvs", ""},
		{true, "/cvs", ""},
	} {
		a := access
		a.URL = test.url
		if got, err := passwordLine(a, test.send); err != nil || got != test.want {
			t.Errorf("%s: got %q, %v", test.url, got, err)
		}
	}
	if _, err := scramble("naïve"); err == nil || strings.Contains(err.Error(), "na") {
		t.Errorf("got %v", err)
	}
}
