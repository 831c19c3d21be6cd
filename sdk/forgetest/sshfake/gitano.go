package sshfake

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Gitano answers the commands of a Gitano server. Its outputs are those that
// Gitano's own yarn tests check (testing/02-commands-*.yarn); where no source
// shows one, the comment says so.
type Gitano struct {
	// User is who calls.
	User string
	// MayCreate says where the caller may create repositories; nil: everywhere.
	MayCreate func(path string) bool
	// MayConfigure says whose configuration the caller may change; nil: all.
	MayConfigure func(path string) bool
	// RulesFirst has the right to create looked at before what is there: which
	// of the two Gitano does first is not seen in a source.
	RulesFirst bool
	// Dir holds bare repositories as Dir/PATH.git for git itself, or is "".
	Dir string
	// Noise is printed to stdout before a listing, as older servers' log lines.
	Noise string
	// CommandUser and CommandPassword are asked for by the CGI when set.
	CommandUser, CommandPassword string

	mu    sync.Mutex
	repos map[string]*repository
}

type repository struct {
	access string // "RW", "R", "W", or "" for none
	config map[string]string
}

// Add puts a repository there. access is what the caller may do: "RW", "R",
// "W" or "".
func (g *Gitano) Add(path, access, head, description string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.repos == nil {
		g.repos = map[string]*repository{}
	}
	g.repos[path] = &repository{access: access, config: map[string]string{
		"project.owner": "admin", "project.head": head, "project.description": description,
	}}
}

// Config gives a value of a repository's configuration, "" when there is none.
func (g *Gitano) Config(path, key string) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if r := g.repos[path]; r != nil {
		return r.config[key]
	}
	return ""
}

// Paths gives the paths of all repositories.
func (g *Gitano) Paths() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Sorted(maps.Keys(g.repos))
}

// Handle answers a command. It is a Handler.
func (g *Gitano) Handle(req Request) Answer {
	words, err := Split(req.Command)
	if err != nil || len(words) == 0 {
		return fatal("CRIT: Unable to parse command line") // words of ours
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	switch words[0] {
	case "ls":
		return g.list()
	case "whoami":
		return Answer{Stdout: fmt.Sprintf("User name: %s\n", g.User)} // layout not seen in a source
	case "create":
		return g.create(words[1:])
	case "config":
		return g.config(words[1:])
	case "git-upload-pack", "git-receive-pack":
		return g.git(words)
	}
	return fatal("CRIT: Unknown command: " + words[0]) // words of ours
}

func fatal(line string) Answer { return Answer{Stderr: line + "\n", Exit: 1} }

// list prints one line for each repository that the caller may read or write
// (02-commands-ls.yarn: "RW gitano-admin").
func (g *Gitano) list() Answer {
	var b strings.Builder
	b.WriteString(g.Noise)
	for _, path := range slices.Sorted(maps.Keys(g.repos)) {
		if access := g.repos[path].access; access != "" {
			fmt.Fprintf(&b, "%-2s %s\n", access, path)
		}
	}
	return Answer{Stdout: b.String()}
}

// create follows 02-commands-create.yarn: the caller is the owner.
func (g *Gitano) create(args []string) Answer {
	if len(args) < 1 || len(args) > 2 || strings.HasPrefix(args[0], "-") {
		return fatal("CRIT: usage: create <reponame> [<owner>]") // words of ours
	}
	path := normal(args[0])
	switch {
	case g.RulesFirst && g.MayCreate != nil && !g.MayCreate(path):
		return fatal("CRIT: Repository creation is not permitted.")
	case g.repos[path] != nil:
		return fatal("CRIT: Repository already exists: " + path) // the words are not seen in a source
	case g.MayCreate != nil && !g.MayCreate(path):
		return fatal("CRIT: Repository creation is not permitted.")
	}
	if g.repos == nil {
		g.repos = map[string]*repository{}
	}
	g.repos[path] = &repository{access: "RW", config: map[string]string{
		"project.owner": g.User, "project.head": "refs/heads/master", "project.description": "",
	}}
	return Answer{}
}

// config follows 02-commands-config.yarn: "show" prints "key: value" lines,
// "set" is silent.
func (g *Gitano) config(args []string) Answer {
	if len(args) < 2 {
		return fatal("CRIT: usage: config <reponame> <cmd> [args...]") // words of ours
	}
	path := normal(args[0])
	r := g.repos[path]
	switch {
	case r == nil:
		return fatal("CRIT: repository does not exist")
	case !strings.HasPrefix(r.access, "R"):
		return fatal("CRIT: Ruleset denied action: config_show not permitted")
	}
	switch args[1] {
	case "show":
		var b strings.Builder
		for _, key := range slices.Sorted(maps.Keys(r.config)) {
			if len(args) == 2 || slices.Contains(args[2:], key) {
				fmt.Fprintf(&b, "%s: %s\n", key, r.config[key])
			}
		}
		return Answer{Stdout: b.String()}
	case "set":
		if len(args) != 4 {
			return fatal("CRIT: usage: config <reponame> set <key> <value>") // words of ours
		}
		if g.MayConfigure != nil && !g.MayConfigure(path) {
			return fatal("CRIT: Ruleset denied action: config_set not permitted")
		}
		r.config[args[2]] = args[3]
		return Answer{}
	}
	return fatal("CRIT: Unknown sub command " + args[1]) // words of ours
}

func (g *Gitano) git(words []string) Answer {
	if len(words) != 2 {
		return fatal("CRIT: usage: git-upload-pack <reponame>")
	}
	path := normal(words[1])
	r := g.repos[path]
	switch {
	case r == nil || g.Dir == "":
		return fatal("CRIT: repository does not exist")
	case words[0] == "git-receive-pack" && !strings.Contains(r.access, "W"), !strings.Contains(r.access, "R"):
		return fatal("CRIT: Ruleset denied action")
	}
	return Answer{Exec: []string{"git", strings.TrimPrefix(words[0], "git-"), g.Dir + "/" + path + ".git"}}
}

func normal(path string) string { return strings.TrimSuffix(strings.Trim(path, "/"), ".git") }
