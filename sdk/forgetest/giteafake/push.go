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
		return errors.New("Gitea: Unable to find repository") //nolint:staticcheck,revive // Gitea's words
	case r.Archived:
		return errors.New("Gitea: Repo: " + path + " is archived.") //nolint:staticcheck,revive // Gitea's words
	case r.Mirror:
		return errors.New("Gitea: Mirror Repository " + path + " is read-only") //nolint:staticcheck,revive // Gitea's words
	}
	for _, name := range push.Delete {
		if name == r.DefaultBranch {
			// from: go-gitea/gitea issue 36736
			return fmt.Errorf("Gitea: branch %s is the default branch and cannot be deleted", name) //nolint:staticcheck,revive // Gitea's words
		}
	}
	for _, name := range push.Branches {
		if !slices.Contains(r.Branches, name) {
			r.Branches = append(r.Branches, name)
		}
	}
	r.Branches = slices.DeleteFunc(r.Branches, func(name string) bool { return slices.Contains(push.Delete, name) })
	return nil
}
