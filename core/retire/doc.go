// Package retire has the Downstream Host archive the repositories of Lorries
// that went away, where an admin has asked for that. What is to be archived is
// in its Store, so that it outlives the core; each repository is tried until
// the host has taken it, or until its Lorry is back.
//
// It must not decide which Lorries go away, and it never deletes a repository.
package retire
