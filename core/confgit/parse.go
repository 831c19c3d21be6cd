package confgit

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/spec"
)

// Rules are what the program's own settings say about reading CONFGIT.
type Rules struct {
	// Types are the types of Upstream Host that there are adapters for; none
	// means that any type is accepted.
	Types []string
	// SkipCertificates is check-certificates = no for everything.
	SkipCertificates bool
	// ProxyFile names the proxy file beside lorry-controller.conf; "" means
	// proxy.conf.
	ProxyFile string
	// FileRoots are the directories below which a .lorry file may name a
	// repository by its path; nil means that this is not checked here.
	FileRoots []string
	// Secrets is where secrets are that CONFGIT only names; nil means that they
	// are not looked up here.
	Secrets *SecretSource
}

// Tree are the files of CONFGIT at one moment.
type Tree interface {
	// List gives the paths of all files and links, with slashes.
	List(ctx context.Context) ([]string, error)
	// Read gives the contents of files by path; one that is not there, or is a
	// link that leads nowhere or out, is left out.
	Read(ctx context.Context, paths []string) (map[string][]byte, error)
}

// Parse reads CONFGIT. A missing lorry-controller.conf is an empty
// configuration. A *BrokenError says that the file as a whole can't be read;
// whatever else is wrong is among the Config's problems.
func Parse(ctx context.Context, tree Tree, commit string, rules Rules) (*Config, error) {
	if rules.ProxyFile == "" {
		rules.ProxyFile = "proxy.conf"
	}
	c := &Config{Commit: commit, Secrets: map[string]HostSecrets{}, Access: map[string]core.Access{}, Places: map[string]Place{}, Retire: map[string]core.RetirePolicy{}}
	p := &parser{config: c, rules: rules, at: map[string]origin{}}
	data, err := tree.Read(ctx, []string{ConfFile, rules.ProxyFile})
	if err != nil {
		return nil, err
	}
	if text, there := data[rules.ProxyFile]; there {
		p.proxy(rules.ProxyFile, text)
	}
	text, there := data[ConfFile]
	if !there {
		c.Missing = true
		p.problem(core.SeverityNotice, ConfFile, 0, "", "there is no such file; nothing is mirrored")
		return c, nil
	}
	top, broken := parseJSON(text)
	if broken != nil {
		return nil, &BrokenError{core.Problem{File: ConfFile, Line: broken.line, Message: broken.message, Severity: core.SeverityError}}
	}
	if top.kind != listValue {
		return nil, &BrokenError{core.Problem{
			File: ConfFile, Line: top.line, Severity: core.SeverityError,
			Message: fmt.Sprintf("must be a list of sections, not %s", top),
		}}
	}
	for _, item := range top.items {
		p.section(item)
	}
	if err := p.lorryFiles(ctx, tree); err != nil {
		return nil, err
	}
	slices.SortFunc(c.Lorries, func(a, b core.Lorry) int { return strings.Compare(a.Path, b.Path) })
	slices.Sort(c.Kept)
	c.Kept = slices.Compact(c.Kept)
	c.Problems = worst(c.Problems)
	return c, nil
}

// worst leaves the worst problems, in their order, when there are too many to
// be read by anybody.
func worst(problems []core.Problem) []core.Problem {
	const most = 1000
	if len(problems) <= most {
		return problems
	}
	kept := make([]core.Problem, 0, most+1)
	room := most
	chosen := make([]bool, len(problems))
	for _, severity := range []string{core.SeverityError, core.SeverityWarning, core.SeverityNotice} {
		for i, p := range problems {
			if p.Severity == severity && room > 0 {
				chosen[i] = true
				room--
			}
		}
	}
	for i, p := range problems {
		if chosen[i] {
			kept = append(kept, p)
		}
	}
	return append(kept, core.Problem{
		File: ConfFile, Severity: core.SeverityNotice,
		Message: fmt.Sprintf("there are %d more problems, none worse than these", len(problems)-most),
	})
}

type parser struct {
	config  *Config
	rules   Rules
	lorries []lorriesSection
	at      map[string]origin // by the path of a Lorry
}

// lorriesSection is a section of type lorries whose keys are in order.
type lorriesSection struct {
	prefix string
	globs  []*value
	line   int
	lorry  core.Lorry // what all of them have in common
	files  []string
}

// origin says where a Lorry was found and where it stands in Config.Lorries.
type origin struct {
	index   int
	section int // its line
}

// problem adds one. What it quotes may be a URL with a password that stands
// where none belongs.
func (p *parser) problem(severity, file string, line int, key, format string, args ...any) {
	p.config.Problems = append(p.config.Problems, core.Problem{
		File: file, Line: line, Key: childproc.Redact(key), Message: childproc.Redact(fmt.Sprintf(format, args...)), Severity: severity,
	})
}

func (p *parser) keep(section string) { p.config.Kept = append(p.config.Kept, section) }

// lorryFiles reads the files that the globs name, each once.
func (p *parser) lorryFiles(ctx context.Context, tree Tree) error {
	if len(p.lorries) == 0 {
		return nil
	}
	paths, err := tree.List(ctx)
	if err != nil {
		return err
	}
	all, wanted := newFiles(paths), map[string]bool{}
	for i := range p.lorries {
		s := &p.lorries[i]
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
		for _, file := range s.files {
			wanted[file] = true
		}
	}
	names := make([]string, 0, len(wanted))
	for file := range wanted {
		names = append(names, file)
	}
	slices.Sort(names)
	contents, err := tree.Read(ctx, names)
	if err != nil {
		return err
	}
	p.readLorries(contents)
	return nil
}

// readLorries turns the files into Lorries, section by section.
func (p *parser) readLorries(contents map[string][]byte) {
	type parsed struct {
		specs  []spec.Spec
		broken bool
	}
	uses := map[string]int{}
	for _, s := range p.lorries {
		for _, file := range s.files {
			uses[file]++
		}
	}
	known := map[string]parsed{} // those that a later section has as well
	for _, s := range p.lorries {
		for _, file := range s.files {
			f, again := known[file]
			if !again {
				problems := []core.Problem{{File: file, Message: "can't be read, or is a link that leads out of CONFGIT", Severity: core.SeverityError}}
				if text, there := contents[file]; there {
					f.specs, problems = spec.Parse(file, text)
				}
				f.broken = slices.ContainsFunc(problems, func(q core.Problem) bool { return q.Severity == core.SeverityError })
				for _, found := range problems {
					found.Key, found.Message = childproc.Redact(found.Key), childproc.Redact(found.Message)
					p.config.Problems = append(p.config.Problems, found)
				}
				delete(contents, file)
			}
			if uses[file]--; uses[file] > 0 {
				known[file] = f
			} else {
				delete(known, file)
			}
			if f.broken {
				p.keep(s.lorry.Section)
			}
			for _, one := range f.specs {
				p.lorry(s, file, one)
			}
		}
	}
}

// lorry adds one Lorry; a path that is there already goes to the last.
func (p *parser) lorry(s lorriesSection, file string, one spec.Spec) {
	path := one.Name
	if s.prefix != "" {
		path = s.prefix + "/" + one.Name
	}
	if err := spec.CheckPath(path); err != nil {
		p.problem(core.SeverityError, file, one.Line, one.Name, "%v", err)
		p.keep(s.lorry.Section)
		return
	}
	l := s.lorry
	l.Path, l.Text, l.UpstreamHost = path, one.Text(path), one.UpstreamHost()
	l.Repository = core.RepositoryName(one.Access.URL)
	if one.Rewrites != core.RewriteByRefspec {
		l.Rewrites = one.Rewrites
	}
	p.checkRoots(file, one)
	before := p.config.Places[path]
	p.config.Places[path] = Place{file, one.Line, one.Name}
	delete(p.config.Access, path)
	p.access(file, path, one)
	old, twice := p.at[path]
	if !twice {
		p.at[path] = origin{len(p.config.Lorries), s.line}
		p.config.Lorries = append(p.config.Lorries, l)
		return
	}
	p.problem(core.SeverityWarning, file, one.Line, one.Name,
		"the Lorry %q is given by %s:%d (section at line %d) and by %s:%d (section at line %d); the last one is used",
		path, before.File, before.Line, old.section, file, one.Line, s.line)
	p.config.Lorries[old.index] = l
	p.at[path] = origin{old.index, s.line}
}

// access keeps what the Lorry's text does not say: its credential, which goes
// to one address only.
func (p *parser) access(file, path string, one spec.Spec) {
	var access core.Access
	for _, remote := range one.Remotes() {
		remote.SkipCertificates = remote.SkipCertificates || p.rules.SkipCertificates
		switch {
		case access.URL == "", access.Secret.Empty() && !remote.Secret.Empty():
			access = remote
		case !remote.Secret.Empty() && remote.Secret != access.Secret:
			p.problem(core.SeverityWarning, file, one.Line, one.Name, "only the first credential of the entry is used")
		}
	}
	if !access.Secret.Empty() && access.SkipCertificates && !one.InsecureCredentials {
		p.problem(core.SeverityWarning, file, one.Line, one.Name,
			"the credential is not sent, because the certificate is not checked; insecure-credentials: true would allow it")
		access.Username, access.Secret = "", core.Secret{}
	}
	if !access.Secret.Empty() || access.SkipCertificates {
		p.config.Access[path] = access
	}
}

// checkRoots warns of a path that a minion will refuse to read.
func (p *parser) checkRoots(file string, one spec.Spec) {
	if p.rules.FileRoots == nil {
		return
	}
	for _, remote := range one.Remotes() {
		path, isFile := strings.CutPrefix(remote.URL, "file://")
		if !isFile && !strings.HasPrefix(path, "/") {
			continue
		}
		if !below(path, p.rules.FileRoots) {
			p.problem(core.SeverityWarning, file, one.Line, one.Name+".url", "%q is not below any of file-roots, so its jobs will fail", path)
		}
	}
}

func below(path string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool {
		root = strings.TrimRight(root, "/")
		return path == root || strings.HasPrefix(path, root+"/")
	})
}

// proxy reads proxy.conf.
func (p *parser) proxy(file string, text []byte) {
	fail := func(line int, key, format string, args ...any) {
		p.problem(core.SeverityError, file, line, key, format+"; no proxy is used", args...)
	}
	top, broken := parseJSON(text)
	if broken != nil {
		fail(broken.line, "", "%s", broken.message)
		return
	}
	if top.kind != objectValue {
		fail(top.line, "", "must be a map, not %s", top)
		return
	}
	var proxy Proxy
	for i, key := range top.keys {
		v := top.items[i]
		if v.kind != textValue && v.kind != numberValue && v.kind != nullValue && key != "password" {
			fail(v.line, key, "must be a text")
			return
		}
		switch key {
		case "hostname":
			proxy.Hostname = v.text
		case "username":
			proxy.Username = v.text
		case "password":
			if v.kind == numberValue || v.kind == nullValue {
				proxy.Password = core.NewSecret(v.text)
				continue
			}
			var fault string
			if proxy.Password, proxy.Ref, fault = p.secret(v); fault != "" {
				fail(v.line, key, "%s", fault)
				return
			}
		case "port":
			port, err := strconv.ParseUint(v.text, 10, 16)
			if proxy.Port = int(port); err != nil || port == 0 {
				fail(v.line, key, "must be a port number, not %s", v)
				return
			}
		}
	}
	if proxy.Hostname == "" || proxy.Port == 0 || strings.ContainsAny(proxy.Hostname, "/@ \t\n") {
		fail(top.line, "hostname", "a proxy needs the name of a host, and a port")
		return
	}
	p.config.Proxy = proxy
}
