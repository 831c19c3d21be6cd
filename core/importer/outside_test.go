package importer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// TestBorrowedObjects: a repository in a directory that may be read sends nobody
// to one that may not, whatever is written in it. From a neighbour it may borrow.
func TestBorrowedObjects(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		make  func(at func(string) string, r *gittest.Repo, put func(name, text string), link func(name, to string))
		fails core.FailureKind
	}{
		{"alternates", func(at func(string) string, _ *gittest.Repo, put func(string, string), _ func(string, string)) {
			put("thing.git/objects/info/alternates", at("secret.git/objects")+"\n")
		}, core.FailSpec},
		{"alternates of alternates", func(at func(string) string, _ *gittest.Repo, put func(string, string), _ func(string, string)) {
			put("thing.git/objects/info/alternates", "# one\n../../pool.git/objects\n")
			put("pool.git/objects/info/alternates", at("secret.git/objects")+"\n")
		}, core.FailSpec},
		{"too many alternates", func(_ func(string) string, _ *gittest.Repo, put func(string, string), _ func(string, string)) {
			for i := range 2 * maxPointers {
				put("thing.git/objects/"+strings.Repeat("x", i+1)+"/y", "")
			}
			var list strings.Builder
			for i := range 2 * maxPointers {
				list.WriteString(strings.Repeat("x", i+1) + "\n")
			}
			put("thing.git/objects/info/alternates", list.String())
		}, core.FailSpec},
		{"a neighbour's", func(_ func(string) string, _ *gittest.Repo, put func(string, string), _ func(string, string)) {
			put("thing.git/objects/info/alternates", "../../pool.git/objects\n")
		}, core.FailNone},
		{"a file in place of a repository", func(at func(string) string, r *gittest.Repo, put func(string, string), _ func(string, string)) {
			_ = os.RemoveAll(r.Dir)
			put("thing.git", "gitdir: "+at("secret.git")+"\n")
		}, core.FailSpec},
		{"a file in a checkout", func(_ func(string) string, r *gittest.Repo, put func(string, string), _ func(string, string)) {
			_ = os.RemoveAll(r.Dir)
			put("thing.git/.git", "gitdir: ../../secret.git\n")
		}, core.FailSpec},
		{"another common directory", func(at func(string) string, _ *gittest.Repo, put func(string, string), _ func(string, string)) {
			put("thing.git/commondir", at("secret.git")+"\n")
		}, core.FailSpec},
		{"objects by a link", func(at func(string) string, r *gittest.Repo, _ func(string, string), link func(string, string)) {
			_ = os.RemoveAll(filepath.Join(r.Dir, "objects"))
			link("thing.git/objects", at("secret.git/objects"))
		}, core.FailSpec},
		{"packs by a link", func(at func(string) string, r *gittest.Repo, _ func(string, string), link func(string, string)) {
			_ = os.RemoveAll(filepath.Join(r.Dir, "objects", "pack"))
			link("thing.git/objects/pack", at("secret.git/objects/pack"))
		}, core.FailSpec},
		{"refs by a link", func(at func(string) string, r *gittest.Repo, _ func(string, string), link func(string, string)) {
			_ = os.RemoveAll(filepath.Join(r.Dir, "refs"))
			link("thing.git/refs", at("secret.git/refs"))
		}, core.FailSpec},
		{"a shared repository of Mercurial", func(at func(string) string, _ *gittest.Repo, put func(string, string), _ func(string, string)) {
			put("thing.git/.hg/sharedpath", at("elsewhere/.hg"))
			put("../elsewhere/.hg/requires", "")
		}, core.FailSpec},
		{"a database of Subversion by a link", func(at func(string) string, _ *gittest.Repo, put func(string, string), link func(string, string)) {
			put("thing.git/db/fs-type", "fsfs\n")
			link("thing.git/db/revs", at("secret.git"))
		}, core.FailSpec},
		{"a link in a checkout", func(at func(string) string, _ *gittest.Repo, _ func(string, string), link func(string, string)) {
			link("thing.git/docs", at("secret.git"))
		}, core.FailNone},
		{"a command where objects are missing", func(at func(string) string, r *gittest.Repo, put func(string, string), _ func(string, string)) {
			put("thing.git/config", "[core]\n\tbare = true\n\trepositoryformatversion = 1\n[extensions]\n\tpartialClone = origin\n[remote \"origin\"]\n\tpromisor = true\n\turl = "+
				at("roots/pool.git")+"\n\tuploadpack = touch "+at("canary")+";\n[uploadpack]\n\tpackObjectsHook = touch "+at("canary")+";\n")
			put("thing.git/refs/heads/missing", strings.Repeat("1", 40)+"\n")
		}, core.FailCorrupt},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			at := func(name string) string { return filepath.Join(w.dir, name) }
			secret := gittest.NewRepo(t, at("secret.git"))
			secret.Commit("refs/heads/main", "secret")
			secret.Git("repack", "-adq")
			r := gittest.Seed(t, at("roots/thing.git"))
			gittest.Seed(t, at("roots/pool.git"))
			put := func(name, text string) {
				path := at("roots/" + name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			test.make(at, r, put, func(name, to string) {
				if err := os.Symlink(to, at("roots/"+name)); err != nil {
					t.Fatal(err)
				}
			})
			w.opts.Spec.Access.URL, w.opts.Request.FileRoots = r.Dir, []string{at("roots")}
			report := w.run()
			if report.Failure.Kind != test.fails || test.fails == core.FailSpec && !strings.Contains(report.Failure.Cause, "borrows from") {
				t.Errorf("got %+v\n%s", report.Failure, w.out)
			}
			if out, err := w.down.Try("cat-file", "-t", secret.Refs()["refs/heads/main"]); err == nil {
				t.Errorf("the secret is downstream: %s", out)
			}
			if exists(at("canary")) {
				t.Error("a command ran")
			}
		})
	}
}
