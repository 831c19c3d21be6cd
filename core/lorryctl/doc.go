// Package lorryctl is the admin's command line: each command is a call or two
// of the HTTP API, shown as a table, JSON or YAML.
//
// It must not know anything of the controller but core/protocol, and must not
// keep anything between two runs.
package lorryctl
