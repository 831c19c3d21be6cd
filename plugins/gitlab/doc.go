// Package gitlab is the adapter for GitLab: as an Upstream Host it lists the
// projects of an instance, of groups or of users; as the Downstream Host it
// makes groups and projects, and sets their default branch and description.
//
// It speaks REST v4 by hand; README.md says why. It must not let GitLab mirror
// by itself, loosen a protection that nobody asked it to, or delete anything.
package gitlab
