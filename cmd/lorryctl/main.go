// Command lorryctl is the admin's command line. It must not do anything but
// call core/lorryctl.
package main

import (
	"os"

	"github.com/lorry-controller/lorry-controller/core/lorryctl"
)

// version is set when the program is linked.
var version = "unknown"

func main() { os.Exit(lorryctl.Main(os.Args[1:], os.Environ(), version, os.Stdout, os.Stderr)) }
