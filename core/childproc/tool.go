package childproc

import (
	"path/filepath"

	"github.com/lorry-controller/lorry-controller/core"
)

// ToolEnv is the environment for a program beside git, such as one that
// unpacks: the PATH, git's private home, the C locale and how the network is
// reached, nothing else.
func (g *Git) ToolEnv() []string {
	home := g.opts.Home
	return append([]string{
		"PATH=" + g.opts.Path, "HOME=" + home, "XDG_CONFIG_HOME=" + home, "TMPDIR=" + filepath.Join(home, "tmp"),
		"LC_ALL=C", "TZ=UTC",
	}, g.networkEnv()...)
}

// SSHCommand is the command by which other version control systems shall run
// ssh for an access, as one text for a shell: the same keys, known hosts and
// options as git's. cleanup removes what was written for it.
func (g *Git) SSHCommand(a *core.Access) (command string, cleanup func(), err error) {
	return g.sshCommand(a)
}
