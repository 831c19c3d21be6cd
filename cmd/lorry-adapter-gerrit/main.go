// Command lorry-adapter-gerrit is the adapter for Gerrit. Lorry Controller
// starts it; by hand it says what it is.
package main

import (
	"github.com/lorry-controller/lorry-controller/plugins/gerrit"
	"github.com/lorry-controller/lorry-controller/sdk"
)

func main() { sdk.Main(gerrit.Plugin()) }
