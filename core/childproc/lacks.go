package childproc

import (
	"context"
	"errors"
	"strings"
)

// Lacks looks for programs and gives a *NotInstalledError for each that is not
// there. A name such as "git svn" is that of a command of git, which may be in
// a package of its own. Nothing but git itself is run.
func (g *Git) Lacks(ctx context.Context, programs ...string) []error {
	own := ""
	if strings.Contains(strings.Join(programs, " "), "git ") {
		if dir, err := g.Output(ctx, GitCall{Args: []string{"--exec-path"}}); err == nil {
			own = ":" + strings.TrimSpace(dir)
		}
	}
	var lacking []error
	for _, name := range programs {
		path := g.opts.Path
		file, isCommand := name, strings.HasPrefix(name, "git ")
		if isCommand {
			file, path = strings.Replace(name, " ", "-", 1), path+own
		}
		if _, err := lookPath(file, []string{"PATH=" + path}); errors.Is(err, ErrNotInstalled) {
			lacking = append(lacking, &NotInstalledError{Program: name, Package: packageOf(name)})
		}
	}
	return lacking
}
