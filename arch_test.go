// Package lorrycontroller holds no code: its tests keep the rules of the tree,
// one table a rule, each with its reason.
package lorrycontroller

import (
	"bufio"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/lorry-controller/lorry-controller/"

const (
	maxFileLines     = 600
	maxFunctionLines = 90
)

// rule says which packages of this module a package may import.
type rule struct {
	pkg    string   // a package, or a tree when it ends in "/..."
	may    []string // the same forms; nil: none
	reason string
}

// importRules is read from the top: the first rule that matches decides.
var importRules = []rule{
	{"core", nil, "the words at the bottom know nobody"},
	{"core/protocol", []string{"core"}, "both ends share messages, not machinery"},
	{"core/token", []string{"core"}, "what a token is, for those who store and who check it"},
	{"core/audit", []string{"core"}, "what the audit is, for those who write, store and verify it"},
	{"core/notify", []string{"core"}, "tells people; what it tells of is in its Store"},
	{"core/retire", []string{"core", "core/audit"}, "archives what went away; what that is is in its Store"},
	{"core/childproc", []string{"core"}, "runs programs for others, knows none of them"},
	{"core/telemetry/...", []string{"core", "core/settings", "core/telemetry/..."}, "logging sits below everything that logs"},
	{"core/settings", []string{"core"}, "settings are read before anything is built"},
	{"core/spec", []string{"core"}, "shared by confgit and importer, so below both"},
	{"core/schedule", []string{"core"}, "pure rules, no I/O"},
	{"core/queue/...", []string{"core", "core/schedule", "core/statedb/...", "core/queue/..."}, "the only writer of job state; never on the network"},
	{"core/statedb/...", []string{"core", "core/queue", "core/schedule", "core/reconcile", "core/token", "core/audit", "core/notify", "core/retire", "core/statedb/...", "integration/pgtest"}, "SQL lives here and serves the ports above it"},
	{"core/confgit/...", []string{"core", "core/spec", "core/childproc", "core/confgit/..."}, "reads CONFGIT, decides nothing"},
	{"core/reconcile/...", []string{"core", "core/spec", "core/confgit/...", "core/childproc", "core/reconcile/..."}, "wanted Lorries from CONFGIT and listings"},
	{"core/adapter/...", []string{"core", "core/adapter/...", "sdk/...", "plugins/local"}, "the core's only way to the adapters"},
	{"core/importer/...", []string{"core", "core/protocol", "core/spec", "core/childproc", "core/settings", "core/telemetry", "core/importer/..."}, "lorry knows no queue and no daemon"},
	{"core/minion/...", []string{"core", "core/protocol", "core/childproc", "core/settings", "core/telemetry", "core/spec", "core/importer", "core/importer/lsrefs", "core/minion/..."}, "a minion knows the core by HTTP alone, and looks at upstream as lorry does"},
	{"core/webapp/...", []string{"core", "core/protocol", "core/queue", "core/reconcile", "core/adapter", "core/retire", "core/token", "core/audit", "core/webapp/..."}, "HTTP on top of the queue, never SQL"},
	{"core/lorryctl/...", []string{"core", "core/protocol", "core/settings", "core/audit", "core/lorryctl/..."}, "the admin's commands use the API like anybody else"},
	{"core/daemon/...", []string{"core/...", "sdk/host", "integration/..."}, "the composition root may see everything"},
	{"sdk/examples/...", []string{"sdk", "sdk/sdktest"}, "what a third party can import"},
	{"sdk/...", []string{"sdk/..."}, "public: an author's go.mod gets nothing of the core"},
	{"plugins/...", []string{"sdk/...", "plugins/internal/...", "plugins/..."}, "adapters are what a third party could have written"},
	{"cmd/lorry-controller", []string{"core/daemon/...", "core/settings"}, "thin mains"},
	{"cmd/lorry-minion", []string{"core/minion/...", "core/settings"}, "thin mains"},
	{"cmd/lorry", []string{"core/importer/...", "core/settings"}, "thin mains"},
	{"cmd/lorryctl", []string{"core/lorryctl/...", "core/settings"}, "thin mains"},
	{"cmd/...", []string{"sdk", "plugins/..."}, "an adapter's main serves one plugin"},
	{"integration/...", []string{"core/...", "sdk/...", "plugins/...", "cmd/...", "integration/..."}, "tests of the whole"},
}

// onlyHere confines packages of others to some of ours.
var onlyHere = []struct {
	imports string
	where   []string
	reason  string
}{
	{"os/exec", []string{"core/childproc", "sdk/host", "plugins/internal/sshforge", "sdk/sdktest", "sdk/forgetest/...", "integration/..."}, "one place knows how a child is bounded and ended"},
	{"github.com/hashicorp/go-plugin", []string{"sdk/..."}, "the core sees ports, not the plugin library"},
	{"google.golang.org/...", []string{"sdk/...", "integration/..."}, "protobuf and gRPC stop at the boundary"},
	{"github.com/jackc/pgx/v5/...", []string{"core/statedb/...", "integration/pgtest"}, "SQL lives in one package"},
	{"modernc.org/sqlite", []string{"core/statedb/..."}, "SQL lives in one package"},
	{"database/sql", []string{"core/statedb/...", "integration/pgtest"}, "SQL lives in one package"},
	{"github.com/prometheus/...", []string{"core/telemetry/metrics"}, "figures are made in one place"},
	{"github.com/julienschmidt/httprouter", []string{"core/webapp/..."}, "routes are the webapp's"},
	{"testing", []string{"core/statedb/statedbtest", "core/webapp/webapptest", "core/importer/workcopy/workcopytest", "sdk/sdktest", "sdk/forgetest", "sdk/forgetest/sshfake", "sdk/forgetest/tool", "plugins/internal/plugintest", "integration/...", "core/adapter/adaptertest"}, "product code imports no test framework"},
}

func matches(pattern, pkg string) bool {
	if tree, ok := strings.CutSuffix(pattern, "/..."); ok {
		return pkg == tree || strings.HasPrefix(pkg, tree+"/")
	}
	return pattern == pkg
}

func anyMatches(patterns []string, pkg string) bool {
	for _, p := range patterns {
		if matches(p, pkg) {
			return true
		}
	}
	return false
}

// source is one parsed Go file of the tree.
type source struct {
	file string // slash-separated, from the root
	pkg  string // directory, from the root
	test bool
	ast  *ast.File
	fset *token.FileSet
}

func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); name != "." && (strings.HasPrefix(n, ".") || n == "testdata" || n == "bin" || n == "var" || n == "tools") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		slash := filepath.ToSlash(name)
		all = append(all, source{slash, path.Dir(slash), strings.HasSuffix(name, "_test.go"), f, fset})
		return nil
	})
	if err != nil {
		t.Fatalf("reading the tree: %v", err)
	}
	if len(all) < 20 {
		t.Fatalf("found only %d Go files: is this the root of the tree?", len(all))
	}
	return all
}

func (s source) imports() []string {
	var paths []string
	for _, i := range s.ast.Imports {
		paths = append(paths, strings.Trim(i.Path.Value, `"`))
	}
	return paths
}

func TestImportsFollowTheTable(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if s.test {
			continue // tests may reach for a suite or a real server
		}
		for _, imported := range s.imports() {
			own, inside := strings.CutPrefix(imported, module)
			if !inside {
				continue
			}
			for _, r := range importRules {
				if !matches(r.pkg, s.pkg) {
					continue
				}
				if !anyMatches(r.may, own) {
					t.Errorf("%s imports %s, which %s may not: %s", s.file, own, r.pkg, r.reason)
				}
				break
			}
		}
	}
}

func TestEveryPackageHasARule(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		covered := s.pkg == "."
		for _, r := range importRules {
			covered = covered || matches(r.pkg, s.pkg)
		}
		if !covered {
			t.Errorf("%s: package %s has no row in importRules", s.file, s.pkg)
		}
	}
}

func TestConfinedImports(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		for _, imported := range s.imports() {
			for _, c := range onlyHere {
				if matches(c.imports, imported) && !anyMatches(c.where, s.pkg) {
					t.Errorf("%s imports %s, allowed only in %v: %s", s.file, imported, c.where, c.reason)
				}
			}
		}
	}
}

func TestOneDocCommentPerPackage(t *testing.T) {
	t.Parallel()
	docs := map[string]int{}
	for _, s := range sources(t) {
		if ast.IsGenerated(s.ast) {
			continue // its source is documented
		}
		if s.test {
			if _, ok := docs[s.pkg]; !ok && s.pkg == "." {
				docs[s.pkg] = 1
			}
			continue
		}
		if s.ast.Doc != nil {
			docs[s.pkg]++
		} else if _, ok := docs[s.pkg]; !ok {
			docs[s.pkg] = 0
		}
	}
	for pkg, n := range docs {
		if n != 1 {
			t.Errorf("package %s has %d doc comments, want 1: say what it is for and what it must not do", pkg, n)
		}
	}
}

func TestSizesOfFilesAndFunctions(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if ast.IsGenerated(s.ast) {
			continue
		}
		if n := s.fset.File(s.ast.Pos()).LineCount(); n > maxFileLines {
			t.Errorf("%s has %d lines, at most %d: split it by subject", s.file, n, maxFileLines)
		}
		for _, d := range s.ast.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil || s.test {
				continue
			}
			lines := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1
			if lines > maxFunctionLines {
				t.Errorf("%s: func %s has %d lines, at most %d", s.file, f.Name.Name, lines, maxFunctionLines)
			}
		}
	}
}

func TestMainsAreThin(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if n := s.fset.File(s.ast.Pos()).LineCount(); strings.HasPrefix(s.pkg, "cmd/") && !s.test && n > 60 {
			t.Errorf("%s has %d lines, a main has at most 60", s.file, n)
		}
	}
}

func TestNoReplaceInGoMod(t *testing.T) {
	t.Parallel()
	f, err := os.Open("go.mod")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if strings.HasPrefix(strings.TrimSpace(lines.Text()), "replace") {
			t.Errorf("go.mod has %q: a replaced module can't be imported by others", lines.Text())
		}
	}
}
