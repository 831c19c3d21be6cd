package giteafake

import (
	"net/http"
	"strings"
)

func (c *call) showOwner(o *owner) {
	answer(c.w, http.StatusOK, ownerBody(o))
}

func ownerBody(o *owner) map[string]any {
	return map[string]any{
		"id": o.id, "login": o.name, "name": o.name, "username": o.name, "visibility": o.visibility,
		"restricted": false, "prohibit_login": false,
	}
}

// visible reports whether the caller sees an owner.
func (c *call) visible(o *owner) bool {
	return o != nil && !o.hidden && (!c.anonymous || o.visibility == "public")
}

// findOwner answers GET /orgs/:org and GET /users/:user. An organisation is
// found as a user too.
// from: Gitea 1.26.0
func (c *call) findOwner() {
	o := c.owners[strings.ToLower(c.parts[1])]
	if !c.visible(o) || c.parts[0] == "orgs" && !o.org {
		answer(c.w, http.StatusNotFound, map[string]any{"errors": []string{"user redirect does not exist [name: " + c.parts[1] + "]"}, "message": "GetOrgByName"})
		return
	}
	c.showOwner(o)
}

// createOrg answers POST /orgs.
func (c *call) createOrg() {
	name, visibility := c.text("username"), c.text("visibility")
	if visibility == "" {
		visibility = "public"
	}
	switch {
	case c.opts.NoOrgs:
		refuse(c.w, http.StatusForbidden, "User is not allowed to create organizations")
	case c.owners[strings.ToLower(name)] != nil:
		// Users and organisations share their names; status 422, not 409.
		// from: Gitea 1.26.0
		refuse(c.w, http.StatusUnprocessableEntity, "user already exists [name: "+name+"]")
	case strings.EqualFold(name, "api") || strings.EqualFold(name, "admin"):
		refuse(c.w, http.StatusUnprocessableEntity, "name is reserved [name: "+name+"]")
	default:
		answer(c.w, http.StatusCreated, ownerBody(c.addOwner(name, visibility, true)))
	}
}

func (c *call) text(key string) string {
	s, _ := c.body[key].(string)
	return s
}
