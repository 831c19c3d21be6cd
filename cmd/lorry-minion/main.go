// Command lorry-minion is a worker: it asks a controller for jobs, runs lorry,
// and reports. It must not do anything but call core/minion.
package main

import (
	"os"

	"github.com/lorry-controller/lorry-controller/core/minion"
)

// version is set when the program is linked.
var version = "unknown"

func main() { os.Exit(minion.Main(os.Args[1:], version, os.Stdout, os.Stderr)) }
