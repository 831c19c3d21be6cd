package confgit

import (
	"iter"
	"strings"
)

// Owned is the path of a Lorry and the section that gives it.
type Owned struct{ Path, Section string }

// Written gives the paths of the Lorries of .lorry files, in their order, each
// with its section.
func (c *Config) Written() iter.Seq2[string, string] {
	return func(yield func(path, section string) bool) {
		for _, l := range c.Lorries {
			if !yield(l.Path, l.Section) {
				return
			}
		}
		for _, o := range c.Left {
			if !yield(o.Path, o.Section) {
				return
			}
		}
	}
}

// WithoutTexts gives a Config that no longer has the Lorries themselves, which
// are most of a large CONFGIT; the STATEDB has them once they are applied. All
// else is as it was, and Written gives the same.
func (c *Config) WithoutTexts() *Config {
	light := *c
	light.Lorries, light.Left = nil, make([]Owned, 0, len(c.Lorries)+len(c.Left))
	light.Places = make(map[string]Place, len(c.Places))
	for path, section := range c.Written() {
		// Copies, because the originals may be a small part of a whole file.
		p, path := c.Places[path], strings.Clone(path)
		if strings.HasSuffix(path, p.Key) {
			p.Key = path[len(path)-len(p.Key):]
		} else {
			p.Key = strings.Clone(p.Key)
		}
		light.Places[path] = p
		light.Left = append(light.Left, Owned{path, section})
	}
	return &light
}
