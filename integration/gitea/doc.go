// Package gitea tries the built Gitea adapter on real servers, with real git.
//
// The server is one that is there (LORRY_TEST_GITEA_URL and
// LORRY_TEST_GITEA_TOKEN, of an admin with all scopes), one that is started
// here from a program (LORRY_TEST_GITEA_BIN; LORRY_TEST_GITEA_STATIC names its
// templates and options when they are not built in), or one from an image for each of
// several versions. It is for tests alone and must not know how the adapter
// works inside; the table of plugins/gitea runs on the same servers.
package gitea
