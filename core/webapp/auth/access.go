package auth

import (
	"slices"

	"github.com/lorry-controller/lorry-controller/core/token"
)

// Access says who may use a route, by the weakest role that may. The zero
// value lets nobody in, and no server starts with it in its table.
type Access string

// The kinds of access. Each route of the table names one.
const (
	// Public is for everybody: probes, the style sheet, the login form.
	Public Access = "everybody"
	// Viewers see.
	Viewers Access = "viewer"
	// Operators run the queue.
	Operators Access = "operator"
	// Approvers let through what is held.
	Approvers Access = "approver"
	// Admins decide who may do what.
	Admins Access = "admin"
	// Minions take jobs. An admin's token is no minion's: it would be given
	// push credentials.
	Minions Access = "minion"
	// Triggers say that something was pushed; so may whoever runs the queue.
	Triggers Access = "trigger"
	// Signed is for webhooks: the handler checks the forge's own signature or
	// secret, so that a request without a token reaches it. One with a token
	// needs a role of Triggers.
	Signed Access = "signature"
)

// Roles gives those that get in; none for a route for everybody.
func (a Access) Roles() []token.Role {
	ladder := []token.Role{token.Viewer, token.Operator, token.Approver, token.Admin}
	switch a {
	case Viewers, Operators, Approvers, Admins:
		return slices.Clone(ladder[slices.Index(ladder, token.Role(a)):])
	case Minions:
		return []token.Role{token.Minion}
	case Triggers, Signed:
		return []token.Role{token.Trigger, token.Operator, token.Approver, token.Admin}
	}
	return nil
}

// Known reports whether this is one of the kinds of access.
func (a Access) Known() bool { return a == Public || len(a.Roles()) > 0 }

// Open reports whether a caller that does not say who he is gets in.
func (a Access) Open() bool { return a == Public || a == Signed }

// Allows reports whether a role gets in.
func (a Access) Allows(role token.Role) bool { return a == Public || slices.Contains(a.Roles(), role) }
