package gitlabfake

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Push is what git would push.
type Push struct {
	Branches []string // new or fast-forward
	Force    []string // rewritten
	Delete   []string
	// Pointers says that there are LFS pointers whose objects were not sent.
	Pointers bool
}

// Push does what a push to a project does to it, or says why GitLab refuses
// it, in its own words.
func (s *Server) Push(path string, push Push) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.byPath[strings.ToLower(path)]
	if p == nil {
		return errors.New("The project you were looking for could not be found or you don't have permission to view it.") //nolint:staticcheck,revive // GitLab's words
	}
	return p.receive(push, !s.opts.NoProtection)
}

func (p *Project) receive(push Push, protect bool) error {
	switch {
	case p.Archived:
		return errors.New("You can't push code to an archived project.") //nolint:staticcheck,revive // GitLab's words
	case push.Pointers && p.LFS:
		// from: gitlab-org/gitlab-ce#46687; with LFS off, nobody looks
		return errors.New("GitLab: LFS objects are missing. Ensure LFS is properly set up or try a manual \"git lfs push --all\".") //nolint:staticcheck,revive // GitLab's words
	}
	for _, name := range push.Force {
		if slices.Contains(p.Protected, name) {
			// from: gitlab-org/gitlab-ce#25601, gitlab-org/gitlab#374003
			return errors.New("GitLab: You are not allowed to force push code to a protected branch on this project.") //nolint:staticcheck,revive // GitLab's words
		}
	}
	for _, name := range push.Delete {
		if name == p.DefaultBranch {
			return fmt.Errorf("The default branch of a project cannot be deleted: %s", name) //nolint:staticcheck,revive // GitLab's words
		}
	}
	for _, name := range slices.Concat(push.Branches, push.Force) {
		if len(p.Branches) == 0 {
			// The first branch becomes the default one, and protected.
			// from: gitlab-org/gitlab-foss#51484
			p.DefaultBranch = name
			if protect {
				p.Protected = append(p.Protected, name)
			}
		}
		if !slices.Contains(p.Branches, name) {
			p.Branches = append(p.Branches, name)
		}
	}
	p.Branches = slices.DeleteFunc(p.Branches, func(name string) bool { return slices.Contains(push.Delete, name) })
	return nil
}
