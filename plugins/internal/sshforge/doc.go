// Package sshforge runs commands on a forge by the system's ssh, so that git
// and the adapters share one set-up of keys and known hosts.
//
// It is the one place among the plugins that starts a program. It never asks
// anybody, never takes an unknown host key, lets no word of a command become
// an option or a second command at the far side, and leaves no process behind.
// It must not know what any forge's commands mean.
package sshforge
