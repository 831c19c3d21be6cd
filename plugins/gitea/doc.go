// Package gitea is the adapter for Gitea and Forgejo: as an Upstream Host it
// lists the repositories of an instance, of organisations or of users; as the
// Downstream Host it makes organisations and repositories, and sets their
// default branch and description.
//
// It speaks the API v1 by hand; README.md says why. It must not let the forge
// mirror by itself, nor make anything more visible than was asked for.
package gitea
