package spec

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"github.com/lorry-controller/lorry-controller/core"
)

// TestCorpus: every form that real .lorry files use is read as encoding/json
// reads it, without a word, as JSON and as the same file in YAML.
func TestCorpus(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/corpus/*.lorry")
	if err != nil || len(files) < 6 {
		t.Fatal(files, err)
	}
	types := make(map[Type]int)
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var want map[string]map[string]any
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(file, err)
		}
		other, err := yaml.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range want {
			for key := range entry {
				if strings.HasPrefix(key, "x-") {
					delete(entry, key)
				}
			}
		}
		for form, text := range map[string][]byte{"JSON": raw, "YAML": other} {
			specs, problems := Parse(file, text)
			if diff := cmp.Diff([]core.Problem(nil), problems); diff != "" {
				t.Errorf("%s as %s: %s", file, form, diff)
			}
			got := make(map[string]map[string]any)
			for _, s := range specs {
				got[s.Name] = asJSON(s)
				types[s.Type]++
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s as %s: %s", file, form, diff)
			}
			// What is written back is read as the same.
			for _, s := range specs {
				again, problems := Parse("again", []byte(s.Text(s.Name)))
				if len(problems) > 0 || len(again) != 1 {
					t.Fatalf("%s: %v", s.Name, problems)
				}
				if diff := cmp.Diff(asJSON(s), asJSON(again[0])); diff != "" {
					t.Errorf("%s: %s", s.Name, diff)
				}
			}
		}
	}
	for _, kind := range Types() {
		if types[kind] == 0 && kind != RawFile { // that one is younger
			t.Errorf("the corpus has no %s", kind)
		}
	}
}

// asJSON is a specification as encoding/json would give it, without what the
// corpus does not use.
func asJSON(s Spec) map[string]any {
	m := map[string]any{"type": string(s.Type)}
	if s.Access.URL != "" {
		m["url"] = s.Access.URL
	}
	if s.Module != "" {
		m["module"] = s.Module
	}
	if s.Type == Svn {
		m["layout"] = "standard"
	}
	if l := s.Layout; l != nil {
		m["layout"] = map[string]any{"trunk": l.Trunk, "branches": l.Branches, "tags": l.Tags}
	}
	if len(s.Refspecs) > 0 {
		list := []any{}
		for _, r := range s.Refspecs {
			list = append(list, r)
		}
		m["refspecs"] = list
	}
	if len(s.Branches) > 0 {
		branches := make(map[string]any)
		for _, b := range s.Branches {
			branches[b.Name] = b.Access.URL
		}
		m["branches"] = branches
	}
	return m
}

// TestKeysOfOneType: what a type cannot do is told where it stands.
func TestKeysOfOneType(t *testing.T) {
	t.Parallel()
	for lines, want := range map[string]string{
		"x:\n  type: raw-file\n  url: https://example.org/a\n  lfs: no\n":                         "4 error x.lfs: a raw-file source keeps its files in git-lfs; they cannot be had without\n",
		"x:\n  type: cvs\n  url: /srv/cvs\n  module: a;b\n":                                       "4 error x.module: \"a;b\" is no name of a module\n",
		"x:\n  type: cvs\n  url: /srv/cvs\n  module: .\n":                                         "4 error x.module: \".\" is no name of a module\n",
		"x:\n  type: cvs\n  url: /srv/cvs\n  module: ../up\n":                                     "4 error x.module: \"../up\" is no name of a module\n",
		"x:\n  type: git\n  url: /srv/x\n  bookmarks: yes\n":                                      "4 notice x.bookmarks: the key \"bookmarks\" is not known for type \"git\" and is ignored\n",
		"x:\n  type: zip\n  url: https://example.org/x\n  SHA-256: 00\n":                          "4 notice x.SHA-256: the key \"SHA-256\" is not known for type \"zip\" and is ignored (did you mean \"sha256sum\"?)\n",
		"x:\n  type: git\n  url: /srv/x\n  refspec: [a]\n":                                        "4 notice x.refspec: the key \"refspec\" is not known for type \"git\" and is ignored (did you mean \"refspecs\"?)\n",
		"x:\n  type: hg\n  url: /srv/x\n  bookmarks: perhaps\n":                                   "4 error x.bookmarks: the value must be true or false, not \"perhaps\"\n",
		"x:\n  type: bzr\n  branches:\n    c:\n":                                                  "4 error x.branches.c: the url is empty\n",
		"x:\n  type: bzr\n  branches:\n    a: lp:x\n    a/b: lp:y\n":                              "5 error x.branches.a/b: git has no branch above or below another: rename it or \"a\"\n",
		"x:\n  type: bzr\n  branches:\n    a b: lp:x\n    ok: lp:y\n    c: ftp://example.org/z\n": "4 error x.branches: \"a b\" is no name of a branch\n6 error x.branches.c: the scheme \"ftp\" is not allowed for type \"bzr\" (allowed: https, http, bzr, bzr+ssh, sftp, file)\n",
	} {
		_, got := Parse("x.lorry", []byte(lines))
		if diff := cmp.Diff(want, text(got)); diff != "" {
			t.Errorf("%s: %s", lines, diff)
		}
	}
	specs, problems := Parse("x.lorry", []byte("x:\n  type: hg\n  url: /srv/x\n  bookmarks: on\n"))
	if len(problems) > 0 || len(specs) != 1 || !specs[0].Bookmarks || !strings.Contains(specs[0].Text("x"), `"bookmarks": true`) {
		t.Errorf("got %+v, %v", specs, problems)
	}
}
