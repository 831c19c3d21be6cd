package confgit

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
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

	total int // bytes that all .lorry files may have together; 0 means mostTotal
}

// mostTotal is far more than a million Lorries take. All of them are in memory
// while CONFGIT is read.
const mostTotal = 512 << 20

// Tree are the files of CONFGIT at one moment.
type Tree interface {
	// List gives the paths of all files and links, with slashes.
	List(ctx context.Context) ([]string, error)
	// Read calls see for each of the paths, in their order, with the file's
	// content, which is nil for one that is not there, or is a link that leads
	// nowhere or out. Of a file that has more bytes than most it gives some that
	// are more than most.
	Read(ctx context.Context, paths []string, most int, see func(path string, data []byte)) error
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
	data, err := readAll(ctx, tree, ConfFile, rules.ProxyFile)
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
		c.Problems = p.problems.end()
		return c, nil
	}
	top, broken := parseJSON(text)
	if broken != nil {
		return nil, brokenConf(broken.line, "%s", broken.message)
	}
	if top.kind != listValue {
		return nil, brokenConf(top.line, "must be a list of sections, not %s", top)
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
	c.Problems = p.problems.end()
	return c, nil
}

// readAll gives the contents of files that may be large, by path.
func readAll(ctx context.Context, tree Tree, paths ...string) (map[string][]byte, error) {
	contents := map[string][]byte{}
	err := tree.Read(ctx, paths, maxFile, func(path string, data []byte) {
		if data != nil {
			contents[path] = data
		}
	})
	return contents, err
}

func brokenConf(line int, format string, args ...any) *BrokenError {
	return &BrokenError{told(core.Problem{File: ConfFile, Line: line, Message: fmt.Sprintf(format, args...), Severity: core.SeverityError})}
}

type parser struct {
	config  *Config
	rules   Rules
	lorries []lorriesSection
	at      map[string]origin // by the path of a Lorry

	problems problemList
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

// problem adds one.
func (p *parser) problem(severity, file string, line int, key, format string, args ...any) {
	p.problems.add(core.Problem{File: file, Line: line, Key: key, Message: fmt.Sprintf(format, args...), Severity: severity})
}

func (p *parser) keep(section string) { p.config.Kept = append(p.config.Kept, section) }

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
	text, ok := p.textOf(s, file, path, one)
	if !ok {
		return
	}
	l := s.lorry
	l.Path, l.Text, l.UpstreamHost = path, text, one.UpstreamHost()
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
		case !remote.Secret.Empty() && (remote.Secret != access.Secret || remote.SecretIn != access.SecretIn || spec.Site(remote.URL) != spec.Site(access.URL)):
			p.problem(core.SeverityWarning, file, one.Line, one.Name, "only the first credential of the entry is used, for addresses of its scheme, host and port")
		}
	}
	if !access.Secret.Empty() && access.SkipCertificates && !one.InsecureCredentials {
		p.problem(core.SeverityWarning, file, one.Line, one.Name,
			"the credential is not sent, because the certificate is not checked; insecure-credentials: true would allow it")
		access.Username, access.Secret, access.SecretIn = "", core.Secret{}, ""
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
