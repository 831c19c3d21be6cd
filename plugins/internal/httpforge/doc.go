// Package httpforge is what the adapters of forges with a JSON API over HTTP
// share: requests whose errors have kinds, paging, addresses and filters; and
// the login at those that want a password.
//
// It must not know any forge by name, keep no state beside the client, and let
// no credential into a URL, an error or a log.
package httpforge
