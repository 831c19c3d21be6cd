package spec

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lorry-controller/lorry-controller/core"
)

// sameSecrets lets go-cmp look into secrets, which hide themselves otherwise.
var sameSecrets = cmp.Comparer(func(a, b core.Secret) bool { return a.Reveal() == b.Reveal() })

func parseFile(t *testing.T, name string) ([]Spec, []core.Problem) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return Parse(name, data)
}

func text(problems []core.Problem) string {
	var b strings.Builder
	for _, p := range problems {
		fmt.Fprintf(&b, "%d %s %s: %s\n", p.Line, p.Severity, p.Key, p.Message)
	}
	return b.String()
}

func TestParseEveryFormOfGit(t *testing.T) {
	t.Parallel()
	specs, problems := parseFile(t, "git.lorry")
	want := []Spec{
		{Name: "library", Line: 2, Type: Git, Access: core.Access{URL: "git://git.example.org/library"}},
		{
			Name: "group/tool", Line: 6, Type: Git,
			Access: core.Access{URL: "https://example.org/group/tool.git", SkipCertificates: true},
			Refspecs: []string{
				"+refs/heads/*", "refs/tags/*", "master", "+next", "^refs/heads/private-*",
				"+refs/heads/*:refs/heads/upstream/*", "wip-*",
			},
			SourceHead: "refs/heads/trunk",
		},
		{
			Name: "short", Line: 14, Type: Git, Access: core.Access{URL: "git@example.org:short.git"},
			LFS: LFSYes, Rewrites: core.RewriteHold, Prune: true,
		},
	}
	if diff := cmp.Diff(want, specs, sameSecrets); diff != "" {
		t.Error(diff)
	}
	if len(problems) > 0 {
		t.Error(text(problems))
	}
}

func TestParseEveryOtherType(t *testing.T) {
	t.Parallel()
	specs, problems := parseFile(t, "converted.lorry")
	wantProblems := "32 notice old-tarball.compression: the key \"compression\" is no longer needed and is ignored\n" +
		"33 notice old-tarball.strip: the key \"strip\" is no longer needed and is ignored\n"
	if diff := cmp.Diff(wantProblems, text(problems)); diff != "" {
		t.Error(diff)
	}
	at := func(url string) core.Access { return core.Access{URL: url} }
	want := []Spec{
		{Name: "plain-svn", Type: Svn, Access: at("https://svn.example.org/plain")},
		{
			Name: "odd-svn", Type: Svn, Access: at("svn://svn.example.org/odd"),
			Layout: &Layout{Trunk: "trunk/c5", Branches: "branches/*/c5", Tags: "tags/*"},
		},
		{Name: "cvs-password", Type: Cvs, Access: at(":pserver:anonymous@cvs.example.org:/cvsroot/thing"), Module: "thing"},
		{Name: "cvs-ssh", Type: Cvs, Access: at("anoncvs@cvs.example.org:/cvs"), Module: "src/thing"},
		{Name: "bzr-one", Type: Bzr, Access: at("lp:thing")},
		{Name: "bzr-many", Type: Bzr, Branches: []Branch{{"trunk", at("lp:thing")}, {"1.0", at("https://bzr.example.org/thing/1.0")}}},
		{Name: "old-tarball", Type: Tarball, Access: at("http://example.org/thing-1.0.tar.gz")},
		{Name: "zipped", Type: Zip, Access: at("https://example.org/thing-1.0.zip"), SHA256: strings.Repeat("0", 64)},
		{Name: "one-file", Type: Gzip, Access: at("ftp://example.org/font.gz")},
		{Name: "raw", Type: RawFile, Files: []File{
			{Destination: "data/set", Access: at("https://example.org/set.bin")},
			{Access: at("https://example.org/other.bin"), SHA256: "aa" + strings.Repeat("0", 62)},
		}},
		{
			Name: "successor", Type: Git,
			Access:      core.Access{URL: "https://example.org/successor.git", SkipCertificates: true},
			RefPatterns: []string{"ma*", "?x/*y*", "refs/tags/*"}, IgnorePatterns: []string{"refs/tags/nightly-*", "?x/*y*"},
		},
	}
	if diff := cmp.Diff(want, specs, sameSecrets, cmpopts.IgnoreFields(Spec{}, "Line")); diff != "" {
		t.Error(diff)
	}
}

func TestParseTellsEveryProblemWithItsLine(t *testing.T) {
	t.Parallel()
	specs, problems := parseFile(t, "broken.lorry")
	want := `2 notice ok.colour: the key "colour" is not known for type "git" and is ignored
3 error ../up: the name "../up" starts with "."
4 error no-type.type: the type is missing (one of git, hg, svn, cvs, bzr, tarball, zip, gzip, raw-file)
5 error odd-type.type: the type "rcs" is not known (one of git, hg, svn, cvs, bzr, tarball, zip, gzip, raw-file)
6 error no-url.url: the url is missing
7 error listed: the specification must be a mapping, not a list
10 error helper.url: the url holds a space or a control character; a space is written %20, that of a path as in file:///one%20place
11 error helper.refspecs: the refspec ":refs/heads/main" has no source: it would delete a ref
11 error helper.refspecs: the refspec "a:b*" has "*" on one side only
13 error option.url: the url starts with "-", which a program would take for an option
14 error scheme.url: the scheme "gopher" is not allowed for type "git" (allowed: https, http, git, ssh, git+ssh, ssh+git, file)
15 error rewriter.rewrites: the value must be one of force, hold, refuse, not "always"
15 error rewriter.prune: the value must be true or false, not "perhaps"
16 error module.module: a cvs source needs the name of a module
19 error patterns.ref_patterns: the pattern "re[lv]" has a "[", which no ref has: only "*" and "?" stand for other characters, so give one pattern for each
19 error patterns.ref_patterns: "a..b" is no pattern of refs
20 error patterns.ignore_patterns: the pattern "wi[pq]" has a "[", which no ref has: only "*" and "?" stand for other characters, so give one pattern for each
20 error patterns.ignore_patterns: "wip/" is no pattern of refs
20 error patterns.ignore_patterns: "" is no pattern of refs
`
	if diff := cmp.Diff(want, text(problems)); diff != "" {
		t.Error(diff)
	}
	if len(specs) != 1 || specs[0].Name != "ok" {
		t.Errorf("want the entry ok alone, got %v", specs)
	}
}

func TestParseTabsAreNoTrap(t *testing.T) {
	t.Parallel()
	specs, problems := parseFile(t, "tabs.lorry")
	if len(problems) > 0 || len(specs) != 1 || specs[0].Name != "tabbed" || specs[0].Line != 2 {
		t.Errorf("got %v, %s", specs, text(problems))
	}
}

func TestParseFaultsOfTheText(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, in, want string }{
		{"json", "{\n  \"a\": {\n    \"type\": \"git\",,\n  }\n}", "3 error : not valid JSON: invalid character ',' "},
		{"json ends", "{\n  \"a\": {\n", "2 error : not valid JSON: the text ends too early"},
		{"yaml", "a:\n  type: git\n url: x\n", "2 error : neither JSON nor valid YAML: "},
		{"list", "- a\n- b\n", "1 error : the file must be a mapping"},
		{"nothing", "", "1 notice : the file has no entry"},
		{"empty object", "{}", "1 notice : the file has no entry"},
		{"latin-1", "caf\xe9: 1", "0 error : the file is not UTF-8"},
		{"two documents", "a: 1\n---\nb: 2\n", "2 error : there is more than one YAML document"},
		{"page", "<html><body>No such file</body></html>", "1 error : the file must be a mapping of names to specifications, not \"<html>"},
		{"alias bomb", bomb(), "0 error : neither JSON nor valid YAML: there are too many values: split the file"},
		{"depth", strings.Repeat("[", 100000), "1 error : not valid JSON: values are nested more than 32 deep"},
		{"twice", "{\"a\": {\"type\": \"git\", \"url\": \"https://example.org/1\"},\n\"a\": {\"type\": \"git\", \"url\": \"https://example.org/2\"}}", "2 warning a: the entry is there twice (first on line 1)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, problems := Parse("f", []byte(test.in))
			if got := text(problems); !strings.HasPrefix(got, test.want) {
				t.Errorf("want %q, got %q", test.want, got)
			}
		})
	}
}

func bomb() string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
	for i := 1; i < 9; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s*a%d]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9), i-1)
	}
	return b.String()
}

func TestTextIsCanonical(t *testing.T) {
	t.Parallel()
	specs, _ := Parse("f", []byte("foo: {url: 'https://me:s3cret@example.org/a&b', type: git, refspecs: ['+refs/heads/*']}"))
	want := `{
    "upstream/foo": {
        "type": "git",
        "url": "https://example.org/a&b",
        "refspecs": [
            "+refs/heads/*"
        ]
    }
}`
	if diff := cmp.Diff(want, specs[0].Text("upstream/foo")); diff != "" {
		t.Error(diff)
	}
}

func TestTextReadsBack(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"git.lorry", "converted.lorry", "tabs.lorry"} {
		specs, _ := parseFile(t, name)
		for _, s := range specs {
			path := "some/" + s.Name
			again, problems := Parse("again", []byte(s.Text(path)))
			if len(problems) > 0 || len(again) != 1 {
				t.Fatalf("%s: %s", s.Text(path), text(problems))
			}
			s.Name = path
			if diff := cmp.Diff(s, again[0], sameSecrets, cmpopts.IgnoreFields(Spec{}, "Line")); diff != "" {
				t.Errorf("%s: %s", s.Name, diff)
			}
		}
	}
}

// TestParseAgreesWithEncodingJSON holds that our reader of JSON, which knows
// lines, sees what the standard one sees.
func TestParseAgreesWithEncodingJSON(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"git.lorry", "tabs.lorry", "broken.lorry"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		var want any
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatal(err)
		}
		for reader, read := range map[string]func([]byte) (*node, *syntaxError){"json": parseJSON, "yaml": parseYAML} {
			n, serr := read(data)
			if serr != nil {
				t.Fatal(serr)
			}
			if diff := cmp.Diff(scalarsAsText(want), plain(n)); diff != "" {
				t.Errorf("%s read as %s: %s", name, reader, diff)
			}
		}
	}
}

func scalarsAsText(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, item := range v {
			v[k] = scalarsAsText(item)
		}
		return v
	case []any:
		for i, item := range v {
			v[i] = scalarsAsText(item)
		}
		return v
	case nil:
		return nil
	}
	return fmt.Sprint(v)
}

func plain(n *node) any {
	switch n.kind {
	case scalarNode:
		return n.text
	case listNode:
		list := []any{}
		for _, item := range n.items {
			list = append(list, plain(item))
		}
		return list
	case mapNode:
		m := map[string]any{}
		for i, key := range n.keys {
			m[key.text] = plain(n.items[i])
		}
		return m
	}
	return nil
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"git.lorry", "converted.lorry", "tabs.lorry", "broken.lorry"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		specs, _ := Parse("f", data)
		for _, s := range specs {
			for _, a := range s.Remotes() {
				if left := tokenLeft(a.URL); left != "" {
					t.Errorf("%q is left in %q", left, a.URL)
				}
			}
			again, problems := Parse("again", []byte(s.Text(s.Name)))
			if len(again) != 1 {
				t.Fatalf("%q does not read back: %s", s.Text(s.Name), text(problems))
			}
			if want, got := s.Text(s.Name), again[0].Text(s.Name); want != got {
				t.Errorf("want %q, got %q", want, got)
			}
		}
	})
}
