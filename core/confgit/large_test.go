package confgit

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// A large configuration is read in a moment: this would not end otherwise.
func TestLargeConfiguration(t *testing.T) {
	t.Parallel()
	tree := memory{}
	var conf strings.Builder
	conf.WriteString("[\n")
	for i := range 1500 {
		if i > 0 {
			conf.WriteString(",\n")
		}
		fmt.Fprintf(&conf, "{\n\"type\": \"lorries\",\n\"interval\": \"6H\",\n\"prefix\": \"p%d\",\n\"globs\": [\n\"d%d/*.lorry\"\n]\n}", i, i)
		for j := range 4 {
			tree[fmt.Sprintf("d%d/f%d.lorry", i, j)] = fmt.Sprintf(`{"n%d": {"type": "git", "url": "https://example.com/%d/%d"}}`, j, i, j)
		}
	}
	conf.WriteString("\n]\n")
	tree[ConfFile] = conf.String()
	c, err := Parse(t.Context(), tree, "", Rules{})
	if err != nil || len(c.Lorries) != 6000 || len(c.Problems) > 0 {
		t.Fatalf("got %d Lorries, %v, %v", len(c.Lorries), c.Problems, err)
	}
}

func FuzzConf(f *testing.F) {
	f.Add(exampleConf)
	f.Add(`[{"type": "gitlab", "host": "h", "protocol": "ssh", "prefixmap": {"": ""}, "auth": {"username": 1}, "x": [{}]}, 3]`)
	f.Fuzz(func(t *testing.T, text string) {
		tree := memory{ConfFile: text, "proxy.conf": text, "open-source-lorries/a.lorry": text}
		c, err := Parse(t.Context(), tree, "", Rules{})
		if err != nil {
			var broken *BrokenError
			if !errors.As(err, &broken) {
				t.Errorf("not a broken file: %v", err)
			}
			return
		}
		for _, p := range c.Problems {
			if p.File == "" || p.Message == "" || p.Severity == "" {
				t.Errorf("a problem without a place: %+v", p)
			}
		}
	})
}
