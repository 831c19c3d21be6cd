package confgit

import (
	"cmp"
	"context"
	"slices"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/spec"
)

// lorryFiles reads the files that the globs name, each once.
func (p *parser) lorryFiles(ctx context.Context, tree Tree) error {
	if len(p.lorries) == 0 {
		return nil
	}
	paths, err := tree.List(ctx)
	if err != nil {
		return err
	}
	all := newFiles(paths)
	for i := range p.lorries {
		if err := ctx.Err(); err != nil {
			return err
		}
		p.match(&p.lorries[i], all)
	}
	return p.readLorries(ctx, tree)
}

// match finds the files of a section.
func (p *parser) match(s *lorriesSection, all *files) {
	for _, g := range s.globs {
		found, err := all.glob(g.text)
		if err != nil {
			p.problem(core.SeverityError, ConfFile, g.line, "globs", "%v", err)
			p.keep(s.lorry.Section)
			continue
		}
		s.files = append(s.files, found...)
	}
	slices.Sort(s.files)
	s.files = slices.Compact(s.files)
}

// lorryFile is what a .lorry file gave.
type lorryFile struct {
	specs  []spec.Spec
	broken bool
}

// readLorries turns the files into Lorries, section by section. A file is read
// when the first section that has it is reached, and forgotten after the last.
func (p *parser) readLorries(ctx context.Context, tree Tree) error {
	uses := map[string]int{}
	var order []string
	for _, s := range p.lorries {
		for _, file := range s.files {
			if uses[file]++; uses[file] == 1 {
				order = append(order, file)
			}
		}
	}
	known := map[string]lorryFile{}
	section, nth := 0, 0 // where the sections' turn is
	total, most := 0, cmp.Or(p.rules.total, mostTotal)
	err := tree.Read(ctx, order, spec.MaxSize, func(path string, data []byte) {
		if total += len(data); total > most {
			return
		}
		known[path] = p.lorryFile(path, data)
		for ; section < len(p.lorries); section, nth = section+1, 0 {
			s := p.lorries[section]
			for ; nth < len(s.files); nth++ {
				file := s.files[nth]
				f, there := known[file]
				if !there {
					return
				}
				if uses[file]--; uses[file] == 0 {
					delete(known, file)
				}
				p.addFile(s, file, f)
			}
		}
	})
	if err == nil && total > most {
		return brokenConf(0, "the .lorry files that it names are larger than %d MB together, so none of them is read: mirror whole hosts by sections of their own, or use several controllers", most>>20)
	}
	return err
}

// lorryFile parses a file; data is nil for one that is not there.
func (p *parser) lorryFile(path string, data []byte) (f lorryFile) {
	problems := []core.Problem{{File: path, Message: "can't be read, or is a link that leads out of CONFGIT", Severity: core.SeverityError}}
	if data != nil {
		f.specs, problems = spec.Parse(path, data)
	}
	for _, found := range problems {
		f.broken = f.broken || found.Severity == core.SeverityError
		p.problems.add(found)
	}
	return f
}

// addFile adds the Lorries that a file gives in a section.
func (p *parser) addFile(s lorriesSection, file string, f lorryFile) {
	if f.broken {
		p.keep(s.lorry.Section)
	}
	for _, one := range f.specs {
		p.lorry(s, file, one)
	}
}

// mostText is how long the specification of one Lorry may be, in bytes. It goes
// through the database, the API and to a minion in one piece.
const mostText = 256 << 10

// textOf gives a Lorry's specification, unless that is too long.
func (p *parser) textOf(s lorriesSection, file, path string, one spec.Spec) (string, bool) {
	text := one.Text(path)
	if len(text) <= mostText {
		return text, true
	}
	p.problem(core.SeverityError, file, one.Line, one.Name, "the specification is longer than %d bytes; write refspecs as patterns, such as refs/heads/*", mostText)
	p.keep(s.lorry.Section)
	return "", false
}
