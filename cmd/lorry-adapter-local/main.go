// Command lorry-adapter-local is the adapter for directory trees of bare git
// repositories. Lorry Controller starts it; by hand it says what it is.
package main

import (
	"github.com/lorry-controller/lorry-controller/plugins/local"
	"github.com/lorry-controller/lorry-controller/sdk"
)

func main() { sdk.Main(local.Plugin()) }
