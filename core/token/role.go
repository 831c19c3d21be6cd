package token

import (
	"slices"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
)

// Role is what a token lets its holder do.
type Role string

// The roles. Viewer, operator, approver and admin each may all that the one
// before may; minion and trigger stand beside them and may one thing each.
const (
	Viewer   Role = "viewer"   // sees everything but tokens and the audit
	Operator Role = "operator" // runs, stops, holds and retries
	Approver Role = "approver" // lets held rewrites and removals through
	Admin    Role = "admin"    // makes and revokes tokens
	Minion   Role = "minion"   // takes jobs and reports on them
	Trigger  Role = "trigger"  // says that something was pushed: webhooks and read-configuration
)

// Roles gives all roles, the weakest first.
func Roles() []Role { return []Role{Viewer, Operator, Approver, Admin, Minion, Trigger} }

// RoleNames lists the names of all roles, separated by commas.
func RoleNames() string {
	var names []string
	for _, role := range Roles() {
		names = append(names, string(role))
	}
	return strings.Join(names, ", ")
}

// ParseRole reads the name of a role; anything else is core.KindInvalid.
func ParseRole(name string) (Role, error) {
	if role := Role(name); slices.Contains(Roles(), role) {
		return role, nil
	}
	return "", &core.Error{Kind: core.KindInvalid, Fact: "there is no role " + quoted(name), Hint: "use one of " + RoleNames()}
}
