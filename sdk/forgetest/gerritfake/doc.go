// Package gerritfake gives tests a Gerrit with state: its REST API, and the
// commands of its ssh server for package sshfake. Answers, statuses and words
// are those that Gerrit 3.9.1 gave when it was asked the same; integration/gerrit
// asks both.
//
// It holds no git data: a test says which branches a project has. It must not
// know the adapter that is tested with it.
package gerritfake
