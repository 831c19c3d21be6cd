// Package giteafake gives tests a Gitea or Forgejo with state: an http.Handler
// that answers those calls of the API v1 that a mirror needs, with the
// surprises that the real ones have.
//
// Each surprise names its source in a comment as "from:", so that it can be
// looked up when a forge answers otherwise; "from: Gitea 1.26.0" was seen on a
// running one. The package is for tests alone and must not know the adapters
// that are tested with it. A test serves it with httptest.NewServer.
package giteafake
