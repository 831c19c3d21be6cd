// Package settings reads the settings of a program from its command line, its
// configuration files and LORRY_* environment variables, by the rules that the
// original's programs had, and holds the table of lorry-controller's own.
//
// It must not act on a setting: it opens no log, no database and no connection,
// and reads no file but configuration files and the secrets that they name.
package settings
