// Command lorry imports what .lorry files name and pushes it to a mirror. A
// minion runs it once for each job; it works by hand as well. It must not do
// anything but call core/importer.
package main

import (
	"os"

	"github.com/lorry-controller/lorry-controller/core/importer/cli"
)

// version is set when the program is linked.
var version = "unknown"

func main() { os.Exit(cli.Main(os.Args[1:], os.Environ(), version, os.Stdout, os.Stderr)) }
