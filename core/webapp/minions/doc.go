// Package minions serves the minion protocol: give-me-job and job-update.
//
// It must hold no transaction while it prepares a repository on the Downstream
// Host, and must not keep in memory what another core would need.
package minions
