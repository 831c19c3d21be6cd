package protocol

import (
	"errors"
	"net/http"
)

// refusal is the cause of an error that is an answer which is not 2xx.
type refusal struct {
	status int
	own    bool // it is in the words of a controller
}

// Error implements error. The error around it says it in full.
func (r *refusal) Error() string { return http.StatusText(r.status) }

// TooLong reports whether err says that a request was longer than the
// controller, or what is between, takes.
func TooLong(err error) bool {
	var r *refusal
	return errors.As(err, &r) && r.status == http.StatusRequestEntityTooLarge
}

// Foreign reports whether err is an answer that is not in the words of a
// controller of ours: something between has given it, such as a proxy that
// knows no backend for a moment, whatever its status says; or the original's
// controller.
func Foreign(err error) bool {
	var r *refusal
	return errors.As(err, &r) && !r.own
}
