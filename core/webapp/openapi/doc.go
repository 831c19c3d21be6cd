// Package openapi writes the description of the HTTP API, in the form of
// OpenAPI 3.0.3, from the table of routes and from the Go types of the answers,
// so that neither has to be said twice.
//
// It must not know a route by its name.
package openapi
