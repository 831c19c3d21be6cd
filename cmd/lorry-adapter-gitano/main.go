// Command lorry-adapter-gitano is the adapter for Gitano servers. Lorry Controller starts
// it; by hand it says what it is.
package main

import (
	"github.com/lorry-controller/lorry-controller/plugins/gitano"
	"github.com/lorry-controller/lorry-controller/sdk"
)

func main() { sdk.Main(gitano.Plugin()) }
