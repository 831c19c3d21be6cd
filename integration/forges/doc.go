// Package forges tries the whole system between forges: the real
// lorry-controller with its minions and its adapters as programs of their own,
// real git, and at both ends a fake forge with real git behind it, or a real
// server that is given (see integration/gitea and integration/gitlab).
//
// The table of the scenario is one for the fakes and the real ones, so that a
// fake that has drifted shows. It is for tests alone and must not know how an
// adapter works inside.
package forges
