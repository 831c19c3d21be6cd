// Package gerrit tries the Gerrit adapter on servers: the same scenarios run on
// a real Gerrit and on sdk/forgetest/gerritfake, so that the fake can't drift
// from the truth unseen.
//
// A real Gerrit is started on loopback when Java and Gerrit's artifacts are in
// the local Maven repository (see Artifacts), or is one that is there already
// (LORRY_TEST_GERRIT_URL). It is for tests alone.
package gerrit
