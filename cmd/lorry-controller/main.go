// Command lorry-controller is the core daemon; called lorry-controller-webapp, it
// is the original's program of that name. It must not do anything but
// call core/daemon.
package main

import (
	"os"

	"github.com/lorry-controller/lorry-controller/core/daemon"
)

// version is set when the program is linked.
var version = "unknown"

func main() { os.Exit(daemon.Main(os.Args, version, os.Stdout, os.Stderr)) }
