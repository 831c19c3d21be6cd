package auth

import (
	"slices"
	"strconv"
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

// ParseRole reads the name of a role; anything else is core.KindInvalid.
func ParseRole(name string) (Role, error) {
	if role := Role(name); slices.Contains(Roles(), role) {
		return role, nil
	}
	var names []string
	for _, role := range Roles() {
		names = append(names, string(role))
	}
	return "", &core.Error{
		Kind: core.KindInvalid, Fact: "there is no role " + quoted(name),
		Hint: "use one of " + strings.Join(names, ", "),
	}
}

// Access says who may use a route. Its values are the ones below; the zero
// value lets nobody in.
type Access struct {
	name  string
	roles []Role
	open  bool // nobody has to say who he is
}

// The kinds of access. Each route of the table names one.
var (
	// Public is for everybody: probes, the style sheet, the login form.
	Public = Access{name: "everybody", open: true}
	// Viewers see.
	Viewers = Access{name: "viewer", roles: []Role{Viewer, Operator, Approver, Admin}}
	// Operators run the queue.
	Operators = Access{name: "operator", roles: []Role{Operator, Approver, Admin}}
	// Approvers let through what is held.
	Approvers = Access{name: "approver", roles: []Role{Approver, Admin}}
	// Admins decide who may do what.
	Admins = Access{name: "admin", roles: []Role{Admin}}
	// Minions take jobs. An admin's token is no minion's: it would be given
	// push credentials.
	Minions = Access{name: "minion", roles: []Role{Minion}}
	// Triggers say that something was pushed.
	Triggers = Access{name: "trigger", roles: []Role{Trigger, Operator, Approver, Admin}}
	// Signed is for webhooks: the handler checks the forge's own signature or
	// secret, so that a request without a token reaches it. One with a token
	// needs a role of Triggers.
	Signed = Access{name: "a forge's signature, or trigger", roles: []Role{Trigger, Operator, Approver, Admin}, open: true}
)

// String names the access for people: the weakest role that has it.
func (a Access) String() string { return a.name }

// Open reports whether a caller that does not say who he is gets in.
func (a Access) Open() bool { return a.open }

// Allows reports whether a role gets in.
func (a Access) Allows(role Role) bool { return slices.Contains(a.roles, role) }

// Roles gives those that get in; none for a route that is open to everybody.
func (a Access) Roles() []Role { return slices.Clone(a.roles) }

// quoted shows what a client sent, shortened.
func quoted(s string) string {
	const most = 40
	if runes := []rune(s); len(runes) > most {
		s = string(runes[:most]) + "…"
	}
	return strconv.Quote(s)
}
