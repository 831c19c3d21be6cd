// Package trove is the adapter for Troves, Baserock's appliances around Gitano:
// asked by ssh, or by https and http where their web server runs Gitano's
// commands.
//
// All of Gitano's ways are in plugins/internal/gitanossh; nothing is decided
// here.
package trove

import (
	"github.com/lorry-controller/lorry-controller/plugins/internal/gitanossh"
	"github.com/lorry-controller/lorry-controller/sdk"
)

// Plugin defines the adapter.
func Plugin() *sdk.Plugin {
	return sdk.Define("trove", gitanossh.Open,
		sdk.WithSummary("Troves, asked by ssh, or by their command CGI over https."), sdk.WithMaxConcurrency(gitanossh.Connections))
}
