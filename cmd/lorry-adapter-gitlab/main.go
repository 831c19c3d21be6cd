// Command lorry-adapter-gitlab is the adapter for GitLab. Lorry Controller
// starts it; by hand it says what it is.
package main

import (
	"github.com/lorry-controller/lorry-controller/plugins/gitlab"
	"github.com/lorry-controller/lorry-controller/sdk"
)

func main() { sdk.Main(gitlab.Plugin()) }
