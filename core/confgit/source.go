package confgit

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
)

// Options say where CONFGIT is.
type Options struct {
	// Git runs git; it is not needed without a URL.
	Git *childproc.Git
	// URL of the repository, without credentials; "" means Directory.
	URL string
	// Username and Password log in at URL.
	Username string
	Password core.Secret
	// SkipCertificates switches TLS verification off for URL.
	SkipCertificates bool
	// Branch to read; "" is the one that the remote's HEAD names.
	Branch string
	// Mirror is the directory of the bare mirror of URL; it is made.
	Mirror string
	// Directory is read as it is when there is no URL.
	Directory string
	Rules     Rules
	Log       hclog.Logger // nil: no log
}

// Source is where CONFGIT is read. But for LogIn its methods must not be called
// at the same time.
type Source struct {
	opts  Options
	log   hclog.Logger
	login atomic.Pointer[login]
}

// login is how a Source logs in at its URL.
type login struct {
	username string
	password core.Secret
}

// NewSource makes a Source; nothing is read yet.
func NewSource(o Options) *Source {
	log := o.Log
	if log == nil {
		log = hclog.NewNullLogger()
	}
	if o.URL != "" && !filepath.IsAbs(o.URL) && !strings.Contains(o.URL, "://") && protocols(o.URL)[0] == childproc.ProtoFile {
		o.URL = absolutePath(o.URL) // git runs elsewhere
	}
	s := &Source{opts: o, log: log}
	s.LogIn(o.Username, o.Password)
	return s
}

// LogIn has the source log in with these from now on. It may be called at any
// time.
func (s *Source) LogIn(username string, password core.Secret) {
	s.login.Store(&login{username, password})
}

// Update fetches CONFGIT and gives the commit to read now. Errors say what is
// wrong with it: it can't be reached, is no git repository, is empty, or lacks
// the branch. What was fetched before stays.
func (s *Source) Update(ctx context.Context) (commit string, err error) {
	if s.opts.URL == "" {
		return directoryCommit(ctx, s.opts.Directory, s.opts.Rules.ProxyFile)
	}
	return s.fetch(ctx)
}

// Read reads CONFGIT at a commit that Update gave, here or in another process
// that has the same CONFGIT.
func (s *Source) Read(ctx context.Context, commit string) (*Config, error) {
	if s.opts.URL == "" {
		return Parse(ctx, directory(s.opts.Directory), commit, s.opts.Rules)
	}
	tree := gitTree{git: s.opts.Git, dir: s.opts.Mirror, commit: commit}
	if err := s.need(ctx, tree); err != nil {
		return nil, err
	}
	c, err := Parse(ctx, tree, commit, s.opts.Rules)
	if !errors.Is(err, errUnreadable) || ctx.Err() != nil {
		return c, err
	}
	s.log.Warn("making the mirror of CONFGIT anew", "mirror", s.opts.Mirror, "err", err)
	if err := removeMirror(s.opts.Mirror); err != nil {
		return nil, err
	}
	if err := s.need(ctx, tree); err != nil {
		return nil, err
	}
	return Parse(ctx, tree, commit, s.opts.Rules)
}

// need fetches a commit that is not in the mirror.
func (s *Source) need(ctx context.Context, tree gitTree) error {
	if tree.there(ctx) {
		return nil
	}
	if _, err := s.fetch(ctx); err != nil {
		return err
	}
	if !tree.there(ctx) {
		return core.Errorf(core.KindNotFound, "CONFGIT at %q has no commit %s any more", s.opts.URL, tree.commit)
	}
	return nil
}
