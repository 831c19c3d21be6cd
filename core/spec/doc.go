// Package spec reads the specification of a Lorry: the text of a .lorry file,
// which the original Lorry, its successors and this program share. It finds
// all problems at once, each with its line, splits credentials off URLs, and
// writes a specification back in one canonical form.
//
// It must not open files or connections, and knows nothing of CONFGIT or of
// how a source is imported.
package spec
