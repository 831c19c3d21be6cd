// Package gitano is the adapter for Gitano servers: as an Upstream Host it
// lists what its account may read, as the Downstream Host it creates
// repositories and sets their default branch and description.
//
// All of Gitano's ways are in plugins/internal/gitanossh; nothing is decided
// here.
package gitano

import (
	"github.com/lorry-controller/lorry-controller/plugins/internal/gitanossh"
	"github.com/lorry-controller/lorry-controller/sdk"
)

// Plugin defines the adapter.
func Plugin() *sdk.Plugin {
	return sdk.Define("gitano", gitanossh.Open,
		sdk.WithSummary("Gitano servers, asked by ssh or by their command CGI."), sdk.WithMaxConcurrency(gitanossh.Connections))
}
