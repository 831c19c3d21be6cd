package spec

import (
	"github.com/lorry-controller/lorry-controller/core"
)

// Type is a kind of source.
type Type string

// The types of source that a .lorry file can name.
const (
	Git     Type = "git"
	Hg      Type = "hg"
	Svn     Type = "svn"
	Cvs     Type = "cvs"
	Bzr     Type = "bzr"
	Tarball Type = "tarball"
	Zip     Type = "zip"
	Gzip    Type = "gzip"
	RawFile Type = "raw-file"
)

// Types lists the types in the order in which messages name them.
func Types() []Type {
	return []Type{Git, Hg, Svn, Cvs, Bzr, Tarball, Zip, Gzip, RawFile}
}

// Downloads reports whether a source of the type is files, which this program
// downloads itself.
func (t Type) Downloads() bool { return t == Tarball || t == Zip || t == Gzip || t == RawFile }

// Spec is the specification of one Lorry.
type Spec struct {
	// Name is the entry's name in the file: the repository's path, below the
	// section's prefix when the file comes from CONFGIT.
	Name string
	// Line is the entry's line in the file, from 1.
	Line int
	Type Type
	// Access is the url without its credentials, which stand beside it. The
	// URL is "" where the type allows it (bzr with branches, raw-file).
	Access core.Access
	// Refspecs are the push refspecs as written; none means heads and tags,
	// never forced. "+" allows a ref to be rewritten, "^" leaves refs out.
	Refspecs []string
	// RefPatterns and IgnorePatterns are Lorry 2's globs of refs; a pattern
	// that does not start with "refs/" is one of branches.
	RefPatterns, IgnorePatterns []string
	// LFS asks for the objects of git-lfs (LFSYes), declines them (LFSNo), or
	// leaves it to what is found (LFSAuto).
	LFS LFS
	// SourceHead is the branch that the downstream HEAD should name, or "".
	SourceHead  string
	Description string
	// Rewrites and Prune choose what happens with rewritten and vanished refs.
	Rewrites core.RewritePolicy
	Prune    bool
	// InsecureCredentials allows a credential over an unverified connection.
	InsecureCredentials bool

	// Bookmarks makes branches of hg's bookmarks.
	Bookmarks bool

	Layout   *Layout  // svn: nil is the standard one
	Module   string   // cvs
	Branches []Branch // bzr, when there is no url
	Files    []File   // raw-file
	// SHA256 is the wanted checksum of an archive in lower-case hex, or "".
	SHA256 string
}

// LFS says what to do about git-lfs.
type LFS string

// The choices for LFS.
const (
	LFSAuto LFS = ""
	LFSYes  LFS = "yes"
	LFSNo   LFS = "no"
)

// Layout says where a Subversion repository keeps what; "*" may stand for one
// path component of Branches and Tags.
type Layout struct{ Trunk, Branches, Tags string }

// Branch is one branch of a bzr source.
type Branch struct {
	Name   string
	Access core.Access
}

// File is one file of a raw-file source.
type File struct {
	Destination string
	Access      core.Access
	SHA256      string // lower-case hex, or ""
}

// Generated is the specification of a repository that an Upstream Host
// listed: heads and tags, rewrites allowed, as the original did it. The
// access's credentials do not become part of its Text.
func Generated(access core.Access) Spec {
	return Spec{Type: Git, Access: access, Refspecs: []string{"+refs/heads/*", "+refs/tags/*"}}
}

// UpstreamHost is the host that the Lorry's source is on, in lower case and
// without a port; "" for a path.
func (s Spec) UpstreamHost() string {
	address := s.Access.URL
	if address == "" && len(s.Branches) > 0 {
		address = s.Branches[0].Access.URL
	}
	if address == "" && len(s.Files) > 0 {
		address = s.Files[0].Access.URL
	}
	return hostOf(s.Type, address)
}

// Remotes gives every address that the Lorry is read from.
func (s Spec) Remotes() []core.Access {
	var all []core.Access
	if s.Access.URL != "" {
		all = append(all, s.Access)
	}
	for _, b := range s.Branches {
		all = append(all, b.Access)
	}
	for _, f := range s.Files {
		all = append(all, f.Access)
	}
	return all
}
