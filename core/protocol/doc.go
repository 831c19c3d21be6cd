// Package protocol holds the messages of the HTTP API 1.0 and of the minion
// protocol, and the client that both the minion and the admin's command line
// use. Both ends import it, so that a field has one name.
//
// It must not know how a message is stored or acted upon.
package protocol
