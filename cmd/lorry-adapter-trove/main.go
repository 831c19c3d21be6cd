// Command lorry-adapter-trove is the adapter for Troves. Lorry Controller starts
// it; by hand it says what it is.
package main

import (
	"github.com/lorry-controller/lorry-controller/plugins/trove"
	"github.com/lorry-controller/lorry-controller/sdk"
)

func main() { sdk.Main(trove.Plugin()) }
