// Package gitlabfake gives tests a GitLab with state: an http.Handler that
// answers those calls of REST v4 that a mirror needs, with the surprises that
// the real one has.
//
// Each surprise names its source in a comment as "from:", so that it can be
// looked up when a GitLab answers otherwise. The package is for tests alone and
// must not know the adapters that are tested with it. A test serves it with
// httptest.NewServer.
package gitlabfake
