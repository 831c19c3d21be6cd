package sdk_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

// TestEveryFunctionHasAnExample: whatever an author can call is called in an
// example that is run, that is, one with an output.
func TestEveryFunctionHasAnExample(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	files := token.NewFileSet()
	exported, shown := map[string]bool{}, map[string]bool{}
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".go") {
			continue
		}
		f, err := parser.ParseFile(files, entry.Name(), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(entry.Name(), "_test.go") {
			collectExported(f, exported)
			continue
		}
		for _, example := range doc.Examples(f) {
			if example.Output == "" && !example.EmptyOutput {
				continue
			}
			ast.Inspect(example.Code, func(n ast.Node) bool {
				if sel, ok := n.(*ast.SelectorExpr); ok {
					shown[sel.Sel.Name] = true
				}
				return true
			})
		}
	}
	if len(exported) < 12 {
		t.Fatalf("found only %d exported functions", len(exported))
	}
	delete(exported, "Main") // it does not return, so that its example can only be read
	for name := range exported {
		if !shown[name] {
			t.Errorf("no example that is run calls %s", name)
		}
	}
}

// collectExported collects the exported functions and the methods of exported
// types. What implements a common interface speaks for itself.
func collectExported(f *ast.File, exported map[string]bool) {
	common := map[string]bool{"Error": true, "Unwrap": true, "String": true, "GoString": true, "Format": true, "MarshalText": true, "MarshalJSON": true, "Is": true}
	for _, decl := range f.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || !fn.Name.IsExported() || fn.Recv != nil && (common[fn.Name.Name] || !ofExported(fn)) {
			continue
		}
		exported[fn.Name.Name] = true
	}
}

// ofExported reports whether a method's receiver is an exported type.
func ofExported(fn *ast.FuncDecl) bool {
	typ := fn.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	id, ok := typ.(*ast.Ident)
	return ok && id.IsExported()
}
