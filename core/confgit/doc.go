// Package confgit fetches CONFGIT and reads what it says: lorry-controller.conf,
// the .lorry files that it names, and proxy.conf. It gives a Config and every
// problem with its file and line. It also makes the starter CONFGIT of a new
// installation.
//
// It must not decide what becomes of the Lorries that are mirrored already: it
// only says which sections could not be read and so have to be kept.
package confgit
