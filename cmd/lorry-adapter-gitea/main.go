// Command lorry-adapter-gitea is the adapter for Gitea and Forgejo. Lorry
// Controller starts it; by hand it says what it is.
package main

import (
	"github.com/lorry-controller/lorry-controller/plugins/gitea"
	"github.com/lorry-controller/lorry-controller/sdk"
)

func main() { sdk.Main(gitea.Plugin()) }
