package confgit

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lorry-controller/lorry-controller/core"
)

// secretsShown lets cmp look at secrets.
func secretsShown() cmp.Option {
	return cmp.Comparer(func(a, b core.Secret) bool { return a.Reveal() == b.Reveal() })
}

func describeAll(problems []core.Problem) []string {
	var lines []string
	for _, p := range problems {
		lines = append(lines, p.Severity+" "+Describe(p))
	}
	return lines
}

// The example of the original's README.
const exampleConf = `[
 {
 "ignore": [
 "baserock/lorries"
 ],
 "interval": "2H",
 "ls-interval": "4H",
 "prefixmap": {
 "baserock": "baserock",
 "delta": "delta"
 },
 "protocol": "http",
 "host": "git.example.org",
 "type": "trove"
 },
 {
 "type": "lorries",
 "interval": "6H",
 "prefix": "delta",
 "globs": [
 "open-source-lorries/*.lorry"
 ]
 }
]
`

func TestParse(t *testing.T) {
	t.Parallel()
	tree := memory{
		ConfFile: exampleConf,
		"open-source-lorries/b.lorry": `{"b": {"type": "git", "url": "https://me:pw@git.example.com/b", "refspecs": ["+refs/heads/*"]},
 "a/x": {"type": "tarball", "url": "https://example.com/x-1.tar.gz?private_token=c4n4ry"}}`,
		"open-source-lorries/.hidden.lorry": `{"h": {"type": "git", "url": "https://example.com/h"}}`,
		"open-source-lorries/sub/c.lorry":   `{"c": {"type": "git", "url": "https://example.com/c"}}`,
		"other.lorry":                       "broken",
		"proxy.conf":                        `{"hostname": "proxy.example.com", "port": "3128", "username": "u", "password": "p"}`,
	}
	got, err := Parse(t.Context(), tree, "c0ffee", Rules{})
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Commit: "c0ffee",
		Lorries: []core.Lorry{
			{
				Path: "delta/a/x", Section: "lorries:delta", UpstreamHost: "example.com", Repository: "example.com/x-1.tar.gz", Interval: 6 * time.Hour, Timeout: time.Hour,
				Text: "{\n    \"delta/a/x\": {\n        \"type\": \"tarball\",\n        \"url\": \"https://example.com/x-1.tar.gz\"\n    }\n}",
			},
			{
				Path: "delta/b", Section: "lorries:delta", UpstreamHost: "git.example.com", Repository: "git.example.com/b", Interval: 6 * time.Hour, Timeout: time.Hour,
				Text: "{\n    \"delta/b\": {\n        \"type\": \"git\",\n        \"url\": \"https://git.example.com/b\",\n        \"refspecs\": [\n            \"+refs/heads/*\"\n        ]\n    }\n}",
			},
		},
		Places: map[string]Place{
			"delta/a/x": {"open-source-lorries/b.lorry", 2, "a/x"},
			"delta/b":   {"open-source-lorries/b.lorry", 1, "b"},
		},
		Hosts: []core.Host{{
			Name: "git.example.org", Type: "trove", Protocol: "http",
			Prefixes: []core.PrefixRule{{From: "baserock", To: "baserock"}, {From: "delta", To: "delta"}},
			Ignore:   []string{"baserock/lorries"}, LsInterval: 4 * time.Hour, Interval: 2 * time.Hour, Timeout: time.Hour,
		}},
		Secrets: map[string]HostSecrets{"git.example.org": {}},
		Access: map[string]core.Access{
			"delta/a/x": {URL: "https://example.com/x-1.tar.gz", Secret: core.NewSecret("c4n4ry"), SecretIn: "private_token"},
			"delta/b":   {URL: "https://git.example.com/b", Username: "me", Secret: core.NewSecret("pw")},
		},
		Proxy:  Proxy{Hostname: "proxy.example.com", Port: 3128, Username: "u", Password: core.NewSecret("p")},
		Retire: map[string]core.RetirePolicy{"lorries:delta": "", "host:git.example.org": ""},
	}
	if diff := cmp.Diff(want, got, secretsShown(), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

// What is wrong with the file as a whole changes nothing.
func TestBrokenFile(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, conf, want string }{
		{"not JSON", "this is not JSON", "lorry-controller.conf:1: not valid JSON: invalid character 'h' in literal true (expecting 'r')"},
		{"JSON broken at line 3", "[\n {\n  \"type\" \"lorries\"\n }\n]", `lorry-controller.conf:3: not valid JSON: invalid character '"' after object key`},
		{"a comma too many", "[\n {},\n]", "lorry-controller.conf:3: not valid JSON: invalid character ']' looking for beginning of value"},
		{"cut off", "[\n {\n  \"type\": \"lor\n", "lorry-controller.conf:3: not valid JSON"},
		{"ends too early", "[\n {}\n\n", "lorry-controller.conf:2: not valid JSON: the text ends too early"},
		{"empty", "", "lorry-controller.conf:1: not valid JSON: the text ends too early"},
		{"more after the end", "[]\n[]\n", "lorry-controller.conf:2: not valid JSON: there is more text"},
		{"a map", `{"type": "lorries"}`, "lorry-controller.conf:1: must be a list of sections, not a map"},
		{"a text", `"x"`, `lorry-controller.conf:1: must be a list of sections, not "x"`},
		{"not UTF-8", "[\n\"\xff\"]", "lorry-controller.conf:2: the file is not UTF-8"},
		{"too deep", strings.Repeat("[", 100), "values are nested more than 32 deep"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse(t.Context(), memory{ConfFile: tt.conf}, "", Rules{})
			var broken *BrokenError
			if !errors.As(err, &broken) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestMissingFileIsEmptyConfiguration(t *testing.T) {
	t.Parallel()
	for name, tree := range map[string]memory{"none": {}, "empty list": {ConfFile: "[]"}} {
		c, err := Parse(t.Context(), tree, "", Rules{})
		if err != nil || len(c.Lorries)+len(c.Hosts)+len(c.Kept) > 0 || c.KeepAll {
			t.Errorf("%s: got %+v, %v", name, c, err)
		}
	}
}

// A broken section is left out, and what it gave before is kept.
func TestBrokenSections(t *testing.T) {
	t.Parallel()
	const host = `"host": "h.example.com", "prefixmap": {"a": "b"}, "ls-interval": "1h", "interval": "1h", "protocol": "https"`
	for _, tt := range []struct {
		name, section string
		want          string // the only problem
		kept          []string
		all           bool
	}{
		{name: "no map", section: `"x"`, want: `error lorry-controller.conf:2: every section must be a map, not "x"; it is left out`, all: true},
		{name: "a number", section: `7`, want: `error lorry-controller.conf:2: every section must be a map, not 7; it is left out`, all: true},
		{name: "no type", section: `{"prefix": "p"}`, want: `error lorry-controller.conf:2: type: is missing: it must be "lorries" or a type of Upstream Host; the section is left out`, kept: []string{"lorries:p"}},
		{name: "empty", section: `{}`, want: `error lorry-controller.conf:2: type: is missing: it must be "lorries" or a type of Upstream Host; the section is left out`, all: true},
		{name: "type is no text", section: `{"type": 1, "host": "h"}`, want: "error lorry-controller.conf:2: type: must be a text, not 1; the section is left out", kept: []string{"host:h"}},
		{name: "unknown type", section: `{"type": "cvsweb", ` + host + `}`, want: `error lorry-controller.conf:2: type: "cvsweb" is not known: it must be lorries, trove, gitlab, local; the section is left out`, kept: []string{"host:h.example.com"}},
		{name: "type that is no name", section: `{"type": "../x", ` + host + `}`, want: `error lorry-controller.conf:2: type: "../x" is no type of host: it has lower-case letters, digits and "-" alone; the section is left out`, kept: []string{"host:h.example.com"}},
		{name: "lorries without prefix", section: `{"type": "lorries", "interval": "1h", "globs": []}`, want: "error lorry-controller.conf:2: prefix: is missing; the section is left out", all: true},
		{name: "lorries without globs", section: `{"type": "lorries", "interval": "1h", "prefix": "p"}`, want: "error lorry-controller.conf:2: globs: is missing: it must be a list of texts; the section is left out", kept: []string{"lorries:p"}},
		{name: "globs are no list", section: `{"type": "lorries", "interval": "1h", "prefix": "p", "globs": "*"}`, want: `error lorry-controller.conf:2: globs: must be a list of texts, not "*"; the section is left out`, kept: []string{"lorries:p"}},
		{name: "globs have a number", section: `{"type": "lorries", "interval": "1h", "prefix": "p", "globs": [1]}`, want: "error lorry-controller.conf:2: globs: must be a list of texts, but has 1 in it; the section is left out", kept: []string{"lorries:p"}},
		{name: "glob leads out", section: `{"type": "lorries", "interval": "1h", "prefix": "p", "globs": ["../*"]}`, want: `error lorry-controller.conf:2: globs: "../*" leads out of CONFGIT`, kept: []string{"lorries:p"}},
		{name: "bad prefix", section: `{"type": "lorries", "interval": "1h", "prefix": "a/../b", "globs": []}`, want: `error lorry-controller.conf:2: prefix: the name "a/../b" has a part ".."; the section is left out`, kept: []string{"lorries:a/../b"}},
		{name: "no host", section: `{"type": "trove", "prefixmap": {"a": "b"}, "ls-interval": "1h", "interval": "1h", "protocol": "https"}`, want: "error lorry-controller.conf:2: host: is missing; the section is left out", all: true},
		{name: "no protocol", section: `{"type": "trove", "host": "h", "prefixmap": {"a": "b"}, "ls-interval": "1h", "interval": "1h"}`, want: "error lorry-controller.conf:2: protocol: is missing: it must be ssh, https or http; the section is left out", kept: []string{"host:h"}},
		{name: "bad protocol", section: `{"type": "trove", "host": "h", "prefixmap": {"a": "b"}, "ls-interval": "1h", "interval": "1h", "protocol": "gopher"}`, want: `error lorry-controller.conf:2: protocol: must be ssh, https or http, not "gopher"; the section is left out`, kept: []string{"host:h"}},
		{name: "no prefixmap", section: `{"type": "trove", "host": "h", "ls-interval": "1h", "interval": "1h", "protocol": "ssh"}`, want: "error lorry-controller.conf:2: prefixmap: is missing: it must map upstream prefixes to downstream ones; the section is left out", kept: []string{"host:h"}},
		{name: "prefixmap is no map", section: `{"type": "trove", "host": "h", "prefixmap": "a", "ls-interval": "1h", "interval": "1h", "protocol": "ssh"}`, want: `error lorry-controller.conf:2: prefixmap: must be a map of texts, not "a"; the section is left out`, kept: []string{"host:h"}},
		{name: "prefix is no text", section: `{"type": "trove", "host": "h", "prefixmap": {"a": 1}, "ls-interval": "1h", "interval": "1h", "protocol": "ssh"}`, want: `error lorry-controller.conf:2: prefixmap: the prefix of "a" must be a text, not 1; the section is left out`, kept: []string{"host:h"}},
		{name: "ignore is no list", section: `{"type": "trove", "ignore": "x", ` + host + `}`, want: `error lorry-controller.conf:2: ignore: must be a list of texts, not "x"; the section is left out`, kept: []string{"host:h.example.com"}},
		{name: "auth is no map", section: `{"type": "trove", "auth": "hidden", ` + host + `}`, want: `error lorry-controller.conf:2: auth: must be a map with username and password; the section is left out`, kept: []string{"host:h.example.com"}},
		{name: "password in a URL", section: `{"type": "local", "url": "https://u:hidden@example.com", ` + host + `}`, want: `error lorry-controller.conf:2: url: must not have a password in a URL; use auth; the section is left out`, kept: []string{"host:h.example.com"}},
		{name: "bad host", section: `{"type": "local", "host": "a b", "prefixmap": {"a": "b"}, "ls-interval": "1h", "interval": "1h"}`, want: `error lorry-controller.conf:2: host: "a b" is no name of a host; the section is left out`, kept: []string{"host:a b"}},
		{name: "bad retire", section: `{"type": "local", "retire": "delete", ` + host + `}`, want: `error lorry-controller.conf:2: retire: must be leave or archive, not "delete"; the section is left out`, kept: []string{"host:h.example.com"}},
		{name: "bad prune", section: `{"type": "local", "prune": "perhaps", ` + host + `}`, want: `error lorry-controller.conf:2: prune: must be true or false, not "perhaps"; the section is left out`, kept: []string{"host:h.example.com"}},
		{name: "bad rewrites", section: `{"type": "local", "rewrites": "maybe", ` + host + `}`, want: `error lorry-controller.conf:2: rewrites: must be force, hold or refuse, not "maybe"; the section is left out`, kept: []string{"host:h.example.com"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tree := memory{
				ConfFile:  "[\n" + tt.section + ",\n{\"type\": \"lorries\", \"interval\": \"1h\", \"prefix\": \"good\", \"globs\": [\"*.lorry\"]}]",
				"a.lorry": `{"a": {"type": "git", "url": "https://example.com/a"}}`,
			}
			c, err := Parse(t.Context(), tree, "", Rules{Types: []string{"trove", "gitlab", "local"}})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{tt.want}, describeAll(c.Problems)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(tt.kept, c.Kept); diff != "" || c.KeepAll != tt.all {
				t.Error(diff, c.KeepAll)
			}
			if len(c.Lorries) != 1 || c.Lorries[0].Path != "good/a" || len(c.Hosts) != 0 {
				t.Errorf("the rest was not used: %v %v", c.Lorries, c.Hosts)
			}
		})
	}
}

// Broken .lorry files are skipped; the rest of the section loads.
func TestBrokenLorryFiles(t *testing.T) {
	t.Parallel()
	tree := memory{
		ConfFile: `[{"type": "lorries", "interval": "1h", "prefix": "p/", "globs": ["*.lorry", "a*"]},
{"type": "lorries", "interval": "2h", "prefix": "q", "globs": ["one.lorry"]}]`,
		"a.lorry":    `{"a": {"type": "git", "url": "https://example.com/a"}}`,
		"bad.lorry":  "{\n\"b\": {\n",
		"half.lorry": "{\"h\": {\"type\": \"git\", \"url\": \"https://example.com/h\"},\n \"i\": {\"type\": \"nonsense\"}}",
		"one.lorry":  "one:\n  type: git\n  url: https://example.com/one\n",
	}
	c, err := Parse(t.Context(), tree, "", Rules{})
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, l := range c.Lorries {
		paths = append(paths, l.Path)
	}
	if diff := cmp.Diff([]string{"p/a", "p/h", "p/one", "q/one"}, paths); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"lorries:p"}, c.Kept); diff != "" {
		t.Error(diff)
	}
	var where []string
	for _, p := range c.Problems {
		where = append(where, fmt.Sprintf("%s:%d", p.File, p.Line))
	}
	if diff := cmp.Diff([]string{"bad.lorry:2", "half.lorry:2"}, where); diff != "" {
		t.Error(diff, describeAll(c.Problems))
	}
}

// A name may hold what acts on a terminal; the line that tells of it does not.
func TestDescribeIsOnePrintableLine(t *testing.T) {
	t.Parallel()
	p := core.Problem{File: "a\nb.lorry", Line: 3, Key: "x\x1b[31m\u202e", Message: `not "good" über`}
	if diff := cmp.Diff(`a\nb.lorry:3: x\x1b[31m\u202e: not "good" über`, Describe(p)); diff != "" {
		t.Error(diff)
	}
}

// Nobody reads thousands of problems; the worst are told.
func TestManyProblems(t *testing.T) {
	t.Parallel()
	var entries []string
	for i := range 1500 {
		entries = append(entries, fmt.Sprintf(`"r%d": {"type": "git", "url": "https://example.com/x", "odd": 1}`, i))
	}
	tree := memory{
		ConfFile:  `[{"type": "lorries", "interval": "1h", "prefix": "p", "globs": ["*.lorry"]}, 5]`,
		"a.lorry": "{" + strings.Join(entries, ",\n") + `, "bad": 1}`,
	}
	c, err := Parse(t.Context(), tree, "", Rules{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range c.Problems {
		if p.Severity == core.SeverityError || strings.HasPrefix(p.Message, "and ") {
			got = append(got, Describe(p))
		}
	}
	want := []string{
		"lorry-controller.conf:1: every section must be a map, not 5; it is left out",
		"a.lorry: and 1490 more like these in this file",
		"a.lorry:1500: bad: the specification must be a mapping, not \"1\"",
	}
	if diff := cmp.Diff(want, got); diff != "" || len(c.Problems) != 2+10+1 {
		t.Errorf("of %d problems (-want +got)\n%s", len(c.Problems), diff)
	}
}

func TestSamePathTwice(t *testing.T) {
	t.Parallel()
	tree := memory{
		ConfFile: `[{"type": "lorries", "interval": "1h", "prefix": "p", "globs": ["a.lorry"]},
{"type": "lorries", "interval": "2h", "prefix": "", "globs": ["b.lorry"]}]`,
		"a.lorry": `{"x": {"type": "git", "url": "https://u:pw@example.com/first"}}`,
		"b.lorry": `{"p/x": {"type": "git", "url": "https://example.com/last"}}`,
	}
	c, err := Parse(t.Context(), tree, "", Rules{})
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Lorries) != 1 || c.Lorries[0].Section != "lorries:" || c.Lorries[0].Interval != 2*time.Hour || len(c.Access) != 0 {
		t.Errorf("the last does not win: %+v %v", c.Lorries, c.Access)
	}
	want := []string{`warning b.lorry:1: p/x: the Lorry "p/x" is given by a.lorry:1 (section at line 1) and by b.lorry:1 (section at line 2); the last one is used`}
	if diff := cmp.Diff(want, describeAll(c.Problems)); diff != "" {
		t.Error(diff)
	}
}

func TestHostSection(t *testing.T) {
	t.Parallel()
	tree := memory{ConfFile: `[{
 "comment": "ours", "uuid": "1234", "serial": 1,
 "type": "gitlab", "trovehost": "gitlab.example.com", "protocol": "https",
 "prefixmap": {"z/y": "first", "z": "second", "": "rest"},
 "interval": "10 m", "ls-interval": "soon", "lorry-timeout": 7200,
 "auth": {"username": "u", "password": "hide1"}, "private-token": "hide2", "webhook-secret": "hide3",
 "check-certificates": "no", "rewrites": "hold", "prune": true, "lfs": "no", "retire": "archive",
 "group": "g", "depth": 3, "flags": {"archived": true, "kinds": ["a"]}
}]`}
	c, err := Parse(t.Context(), tree, "", Rules{})
	if err != nil {
		t.Fatal(err)
	}
	want := core.Host{
		Name: "gitlab.example.com", Type: "gitlab", Protocol: "https",
		Prefixes:   []core.PrefixRule{{From: "z/y", To: "first"}, {From: "z", To: "second"}, {From: "", To: "rest"}},
		LsInterval: 24 * time.Hour, Interval: 10 * time.Minute, Timeout: 2 * time.Hour, Rewrites: core.RewriteHold, SkipCertificates: true,
		Prune: true, LFS: "no",
		Settings: map[string]any{"group": "g", "depth": int64(3), "flags": map[string]any{"archived": true, "kinds": []any{"a"}}},
	}
	if diff := cmp.Diff([]core.Host{want}, c.Hosts); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]core.RetirePolicy{"host:gitlab.example.com": core.RetireArchive}, c.Retire); diff != "" {
		t.Error(diff)
	}
	secrets := map[string]HostSecrets{"gitlab.example.com": {
		Username: "u", Password: core.NewSecret("hide1"), Token: core.NewSecret("hide2"),
		Settings: map[string]core.Secret{"webhook-secret": core.NewSecret("hide3")},
	}}
	if diff := cmp.Diff(secrets, c.Secrets, secretsShown()); diff != "" {
		t.Error(diff)
	}
	wantProblems := []string{
		`warning lorry-controller.conf:5: ls-interval: "soon" is no interval: write a number and m, h or d, such as 6h; 24h is used`,
		`notice lorry-controller.conf:2: serial: has no meaning any more and is ignored`,
		`notice lorry-controller.conf:2: uuid: has no meaning any more and is ignored`,
	}
	if diff := cmp.Diff(wantProblems, describeAll(c.Problems)); diff != "" {
		t.Error(diff)
	}
	if shown := fmt.Sprintf("%+v %#v", c, c); strings.Contains(shown, "hide") {
		t.Errorf("a credential is shown: %s", shown)
	}
	if n := len(c.AllSecrets()); n < 3 {
		t.Errorf("got %d secrets", n)
	}
}

func TestRetireOfSectionsWithTheSamePrefix(t *testing.T) {
	t.Parallel()
	tree := memory{ConfFile: `[{"type": "lorries", "interval": "1h", "prefix": "p", "globs": [], "retire": "archive"},
{"type": "lorries", "interval": "1h", "prefix": "q", "globs": [], "retire": "archive"},
{"type": "lorries", "interval": "1h", "prefix": "/p/", "globs": [], "retire": "leave"}]`}
	c, err := Parse(t.Context(), tree, "", Rules{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]core.RetirePolicy{"lorries:p": core.RetireLeave, "lorries:q": core.RetireArchive}, c.Retire); diff != "" {
		t.Error(diff)
	}
	want := []string{`warning lorry-controller.conf:3: retire: another section with the prefix "p" says something else; this one counts for both`}
	if diff := cmp.Diff(want, describeAll(c.Problems)); diff != "" {
		t.Error(diff)
	}
}

func TestFileRoots(t *testing.T) {
	t.Parallel()
	tree := memory{
		ConfFile:  `[{"type": "lorries", "interval": "1h", "prefix": "p", "globs": ["*.lorry"]}]`,
		"a.lorry": `{"a": {"type": "git", "url": "/srv/git/a"}, "b": {"type": "git", "url": "file:///srv/gitx/b"}, "c": {"type": "git", "url": "https://example.com/c"}}`,
	}
	const wrong = `warning a.lorry:1: b.url: "/srv/gitx/b" is not below any of file-roots, so its jobs will fail`
	for name, tt := range map[string]struct{ roots, want []string }{
		"not checked": {nil, nil},
		"one":         {[]string{"/srv/git/"}, []string{wrong}},
		"all":         {[]string{"/"}, nil},
	} {
		c, err := Parse(t.Context(), tree, "", Rules{FileRoots: tt.roots})
		if err != nil || len(c.Lorries) != 3 {
			t.Fatal(err, c)
		}
		if diff := cmp.Diff(tt.want, describeAll(c.Problems)); diff != "" {
			t.Error(name, diff)
		}
	}
}

func TestHostTwice(t *testing.T) {
	t.Parallel()
	tree := memory{ConfFile: `[{"type": "local", "host": "h", "prefixmap": {"": "a"}, "interval": "1h", "ls-interval": "1h"},
{"type": "local", "host": "h", "prefixmap": {"": "b"}, "interval": "1h", "ls-interval": "1h"}]`}
	c, err := Parse(t.Context(), tree, "", Rules{})
	if err != nil || len(c.Hosts) != 1 || c.Hosts[0].Prefixes[0].To != "b" || len(c.Problems) != 1 {
		t.Errorf("got %+v, %v", c, err)
	}
}
