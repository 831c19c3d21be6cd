// Package childproc runs every external program: git, ssh below it, and the
// converters of other version control systems. Each child gets its own process
// group, an environment built from nothing, a deadline, an end for all of its
// descendants, and an output from which credentials and control characters are
// removed.
//
// It must not know what the programs are run for: which refs are fetched, what
// a failure means for a Lorry, or where a working area lies.
package childproc
