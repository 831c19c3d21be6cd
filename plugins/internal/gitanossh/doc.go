// Package gitanossh is what the adapters for Gitano and for Troves have in
// common: a Trove is an appliance around Gitano. It knows Gitano's commands and
// what they print, over ssh and over Gitano's CGI.
//
// What Gitano's rules refuse is normal and told, not a failure. The package
// must not decide which repositories are mirrored, and touches no git data.
package gitanossh
