package giteafake

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Push is what git would push.
type Push struct {
	Branches []string
	Delete   []string
}

// Push does what a push to a repository does to it, or says why it is refused.
func (s *Server) Push(path string, push Push) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.byPath[strings.ToLower(path)]
	switch {
	case r == nil:
		return errors.New("Gitea: Unable to find repository") //nolint:staticcheck // Gitea's words
	case r.Archived:
		return errors.New("Gitea: Repo: " + path + " is archived.")
	case r.Mirror:
		return errors.New("Gitea: Mirror Repository " + path + " is read-only")
	}
	for _, name := range push.Delete {
		if name == r.DefaultBranch || name == r.Head {
			// from: go-gitea/gitea issue 36736
			return fmt.Errorf("Gitea: branch %s is the default branch and cannot be deleted", name) //nolint:staticcheck // Gitea's words
		}
	}
	s.receive(r, push.Branches)
	r.Branches = slices.DeleteFunc(r.Branches, func(name string) bool { return slices.Contains(push.Delete, name) })
	return nil
}

// receive takes branches in. The first ones of an empty repository are noticed
// later, unless PushLag is 0.
func (s *Server) receive(r *Repo, branches []string) {
	first := len(r.Branches) == 0 && len(branches) > 0
	for _, name := range branches {
		if !slices.Contains(r.Branches, name) {
			r.Branches = append(r.Branches, name)
		}
	}
	if first {
		r.lag = s.opts.PushLag + 1
		r.notice()
	}
}

// notice comes one step nearer to noticing a first push. main or master, or
// else the first branch, then becomes the default branch, whatever was wished.
// from: Gitea 1.26.0, services/repository/push.go and routers/private/hook_post_receive.go
func (r *Repo) notice() {
	if r.lag == 0 {
		return
	}
	if r.lag--; r.lag > 0 || len(r.Branches) == 0 {
		return
	}
	r.DefaultBranch = r.Branches[0]
	for _, name := range []string{"master", "main"} {
		if slices.Contains(r.Branches, name) {
			r.DefaultBranch = name
		}
	}
	r.Head = r.DefaultBranch
}
