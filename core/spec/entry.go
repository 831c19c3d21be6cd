package spec

import (
	"regexp"
	"slices"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
)

// entry reads one named specification.
func (p *parser) entry(key, n *node) (Spec, bool) {
	s := Spec{Name: key.text, Line: key.line}
	if key.kind != scalarNode {
		p.errorf(key.line, "", "the name of an entry must be a text, not %s", key.what())
		return s, false
	}
	if n.kind != mapNode {
		p.errorf(n.line, s.Name, "the specification must be a mapping, not %s", n.what())
		return s, false
	}
	f := p.fields(s.Name, n)
	if err := CheckPath(s.Name); err != nil {
		f.errorf(key.line, "", "%v", err)
	}
	if s.Type = Type(f.text("type")); s.Type == "" {
		f.errorf(f.lineOf("type"), "type", "the type is missing (one of %s)", typeNames())
		return s, false
	}
	if !slices.Contains(Types(), s.Type) {
		f.errorf(f.lineOf("type"), "type", "the type %q is not known (one of %s)", s.Type, typeNames())
		return s, false
	}
	verify := f.boolean("check-certificates", true)
	s.Access = f.address("url", s.Type, verify)
	p.common(f, &s)
	switch s.Type {
	case Svn:
		s.Layout = p.layout(f)
	case Cvs:
		if s.Module = f.text("module"); s.Module == "" {
			f.errorf(f.lineOf("module"), "module", "a cvs source needs the name of a module")
		} else if !moduleForm.MatchString(s.Module) || slices.ContainsFunc(strings.Split(s.Module, "/"), func(part string) bool { return part == "." || part == ".." }) {
			f.errorf(f.lineOf("module"), "module", "%q is no name of a module", s.Module)
		}
	case Hg:
		s.Bookmarks = f.boolean("bookmarks", false)
	case Bzr:
		s.Branches = p.branches(f, verify)
	case RawFile:
		s.Files = p.files(f, verify)
		if s.LFS == LFSNo {
			f.errorf(f.lineOf("lfs"), "lfs", "a raw-file source keeps its files in git-lfs; they cannot be had without")
		}
	case Tarball, Zip, Gzip:
		s.SHA256 = f.checksum("sha256sum")
	}
	if !f.has("url") && len(s.Branches) == 0 && len(s.Files) == 0 && !f.failed {
		f.errorf(f.lineOf("url"), "url", "the url is missing")
	}
	f.unknown(n, s.Type)
	return s, !f.failed
}

// common reads the keys that every type has.
func (p *parser) common(f *fields, s *Spec) {
	s.Refspecs = f.list("refspecs")
	for _, text := range s.Refspecs {
		if _, err := ParseRefspec(text); err != nil {
			f.errorf(f.lineOf("refspecs"), "refspecs", "%v", err)
		}
	}
	s.RefPatterns = f.patterns("ref_patterns")
	s.IgnorePatterns = append(f.patterns("ignore_patterns"), f.patterns("ignore_refs")...)
	if len(s.Refspecs) > 0 && len(s.RefPatterns) > 0 {
		f.errorf(f.lineOf("ref_patterns"), "ref_patterns", "refspecs and ref_patterns cannot be used together")
	}
	switch f.has("lfs") {
	case true:
		s.LFS = LFSNo
		if f.boolean("lfs", false) {
			s.LFS = LFSYes
		}
	}
	s.Description = f.text("description")
	if s.SourceHead = f.text("source-HEAD"); s.SourceHead != "" {
		if !strings.HasPrefix(s.SourceHead, "refs/heads/") || strings.Contains(s.SourceHead, "*") || checkRefName(s.SourceHead) != nil {
			f.errorf(f.lineOf("source-HEAD"), "source-HEAD", "the value must be the full name of a branch, such as refs/heads/main, not %q", s.SourceHead)
		}
	}
	s.Rewrites = core.RewritePolicy(f.oneOf("rewrites", string(core.RewriteForce), string(core.RewriteHold), string(core.RewriteRefuse)))
	s.Prune = f.boolean("prune", false)
	s.InsecureCredentials = f.boolean("insecure-credentials", false)
}

// patterns reads names of refs in which "*" stands for any characters and "?" for
// one. What could be no ref's name would match nothing, without a word.
func (f *fields) patterns(key string) []string {
	texts := f.list(key)
	for _, text := range texts {
		switch name := strings.NewReplacer("*", "x", "?", "x").Replace(text); {
		case strings.Contains(text, "["):
			f.errorf(f.lineOf(key), key, `the pattern %q has a "[", which no ref has: only "*" and "?" stand for other characters, so give one pattern for each`, text)
		case text == "" || checkRefName(name) != nil:
			f.errorf(f.lineOf(key), key, "%q is no pattern of refs", text)
		}
	}
	return texts
}

// layout reads where a Subversion repository keeps what; nil is standard.
func (p *parser) layout(f *fields) *Layout {
	n := f.get("layout")
	if n == nil || n.kind == scalarNode && n.text == "standard" {
		return nil
	}
	if n.kind != mapNode {
		f.errorf(n.line, "layout", "the layout must be %q or a mapping, not %s", "standard", n.what())
		return nil
	}
	g := p.fields(f.key("layout"), n)
	l := &Layout{Trunk: g.text("trunk"), Branches: g.text("branches"), Tags: g.text("tags")}
	if l.Trunk == "" {
		g.errorf(n.line, "trunk", "the layout has no trunk: %q is the url itself", ".")
	}
	for _, part := range []string{l.Trunk, l.Branches, l.Tags} {
		if strings.HasPrefix(part, "-") || strings.ContainsAny(part, ":\n\r\x00") || slices.Contains(strings.Split(part, "/"), "..") {
			g.errorf(n.line, "", "%q is no path in a repository", part)
		}
	}
	g.unknown(n, Svn)
	f.failed = f.failed || g.failed
	return l
}

func (p *parser) branches(f *fields, verify bool) []Branch {
	n := f.get("branches")
	if n == nil {
		return nil
	}
	if n.kind != mapNode {
		f.errorf(n.line, "branches", "the branches must be a mapping of names to urls, not %s", n.what())
		return nil
	}
	if f.has("url") {
		f.errorf(n.line, "branches", "url and branches cannot be used together")
	}
	g := p.fields(f.key("branches"), n)
	var branches []Branch
	for _, key := range n.keys {
		if checkRefName(key.text) != nil || strings.Contains(key.text, "*") || key.text == "" {
			g.errorf(key.line, "", "%q is no name of a branch", key.text)
			continue
		}
		if !g.has(key.text) {
			g.errorf(key.line, key.text, "the url is empty")
			continue
		}
		for _, b := range branches {
			if strings.HasPrefix(b.Name, key.text+"/") || strings.HasPrefix(key.text, b.Name+"/") {
				g.errorf(key.line, key.text, "git has no branch above or below another: rename it or %q", b.Name)
			}
		}
		branches = append(branches, Branch{Name: key.text, Access: g.address(key.text, Bzr, verify)})
	}
	f.failed = f.failed || g.failed
	return branches
}

func (p *parser) files(f *fields, verify bool) []File {
	n := f.get("urls")
	if n == nil {
		return nil
	}
	if n.kind != listNode {
		f.errorf(n.line, "urls", "the urls must be a list of mappings, not %s", n.what())
		return nil
	}
	var files []File
	for _, item := range n.items {
		if item.kind != mapNode {
			f.errorf(item.line, "urls", "every item must be a mapping with url and destination, not %s", item.what())
			continue
		}
		g := p.fields(f.key("urls"), item)
		file := File{Destination: g.text("destination"), Access: g.address("url", RawFile, verify), SHA256: g.checksum("sha256sum")}
		if !g.has("url") {
			g.errorf(item.line, "url", "the url is missing")
		}
		if d := strings.TrimSuffix(file.Destination, "/"); d != "" && d != "." {
			if err := CheckPath(d); err != nil {
				g.errorf(item.line, "destination", "%v", err)
			}
		}
		g.unknown(item, RawFile)
		f.failed = f.failed || g.failed
		files = append(files, file)
	}
	return files
}

var sha256Form = regexp.MustCompile(`^[0-9a-f]{64}$`)

func (f *fields) checksum(key string) string {
	text := strings.ToLower(f.text(key))
	if text != "" && !sha256Form.MatchString(text) {
		f.errorf(f.lineOf(key), key, "the checksum must be 64 hexadecimal digits")
	}
	return text
}

func typeNames() string {
	var names []string
	for _, t := range Types() {
		names = append(names, string(t))
	}
	return strings.Join(names, ", ")
}
