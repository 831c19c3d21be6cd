// Package gitlab tries the built GitLab adapter on real servers, with real git.
//
// The server is one that is there (LORRY_TEST_GITLAB_URL and
// LORRY_TEST_GITLAB_TOKEN with the scope api; everything is made below the
// group LORRY_TEST_GITLAB_GROUP when that is set), or one from an image for
// each version in LORRY_TEST_GITLAB_IMAGES. It is for tests alone and must not
// know how the adapter works inside.
package gitlab
