package gerritfake

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lorry-controller/lorry-controller/sdk/forgetest/sshfake"
)

// Handle answers a command of Gerrit's ssh server. It is an sshfake.Handler.
func (g *Gerrit) Handle(req sshfake.Request) sshfake.Answer {
	g.Note(req.Command)
	words, err := sshfake.Split(req.Command)
	if err != nil || len(words) < 2 || words[0] != "gerrit" {
		return fatal("gerrit: not found")
	}
	options, names, err := parse(words[2:])
	if err != nil {
		return fatal(err.Error())
	}
	if words[1] == "version" {
		return sshfake.Answer{Stdout: "gerrit version 3.9.1\n"}
	}
	if words[1] == "ls-projects" {
		return g.lsProjects(options)
	}
	if len(names) != 1 {
		return fatal(`Argument "NAME" is required`)
	}
	switch words[1] {
	case "create-project":
		return g.createProject(names[0], options)
	case "set-head":
		ref := last(options["--new-head"])
		err := g.setHead(names[0], ref)
		if err != nil && strings.HasPrefix(err.Error(), "not permitted") {
			// What 3.9.1 says to one who does not own the project.
			return sshfake.Answer{Stderr: "fatal: internal server error\n", Exit: 128}
		}
		return outcome(names[0], err)
	case "set-project":
		if values := options["--description"]; len(values) > 0 {
			return outcome(names[0], g.setDescription(names[0], last(values)))
		}
		if states := options["--project-state"]; len(states) > 0 {
			return outcome(names[0], g.setConfig(names[0], last(states), nil))
		}
		return sshfake.Answer{}
	}
	return fatal("gerrit: " + words[1] + ": not found")
}

func fatal(words string) sshfake.Answer {
	return sshfake.Answer{Stderr: "fatal: " + words + "\n", Exit: 1}
}

func last(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[len(values)-1]
}

// parse reads options as Gerrit's parser does: "--" ends them.
func parse(words []string) (options map[string][]string, names []string, err error) {
	options = map[string][]string{}
	bare := []string{"--all", "--empty-commit", "--permissions-only"}
	for i := 0; i < len(words); i++ {
		w := words[i]
		switch {
		case w == "--":
			return options, append(names, words[i+1:]...), nil
		case !strings.HasPrefix(w, "-"):
			names = append(names, w)
		case slices.Contains(bare, w), w == "--description" && slices.Contains(words, "--format"):
			options[w] = append(options[w], "")
		case i+1 < len(words):
			i++
			options[w] = append(options[w], words[i])
		default:
			return nil, nil, fmt.Errorf("Option %q takes an operand", w) //nolint:staticcheck // Gerrit's words
		}
	}
	return options, names, nil
}

func (g *Gerrit) lsProjects(options map[string][]string) sshfake.Answer {
	q := query{
		all: options["--all"] != nil, description: options["--description"] != nil, kind: strings.ToLower(last(options["--type"])),
		state: last(options["--state"]), prefix: last(options["--prefix"]), branches: options["--show-branch"],
	}
	for name, target := range map[string]*int{"--start": &q.start, "--limit": &q.limit} {
		if value := last(options[name]); value != "" {
			n, err := strconv.Atoi(value)
			if err != nil {
				return fatal(fmt.Sprintf("%q is not a valid value for %q", value, name))
			}
			*target = n
		}
	}
	if last(options["--format"]) != "json_compact" {
		return fatal("this fake prints json_compact alone")
	}
	return sshfake.Answer{Stdout: string(inOrder(g.list(q)))}
}

func (g *Gerrit) createProject(name string, options map[string][]string) sshfake.Answer {
	p := Project{Description: last(options["--description"]), Parent: last(options["--parent"]), PermissionsOnly: options["--permissions-only"] != nil}
	if branches := options["--branch"]; len(branches) > 0 {
		p.Head = branches[0]
	}
	if options["--empty-commit"] != nil {
		p.Branches = map[string]string{p.head(): strings.Repeat("e", 40)}
	}
	if _, ok := g.Get(p.Parent); p.Parent != "" && !ok {
		return fatal("project " + p.Parent + " not found")
	}
	_, err := g.create(name, p)
	return outcome(name, err)
}

// outcome words a refusal as the ssh server does.
func outcome(name string, err error) sshfake.Answer {
	var r *refusal
	if !errors.As(err, &r) {
		return sshfake.Answer{}
	}
	switch r.status {
	case 404:
		return fatal("project " + name + " not found")
	case 409:
		return fatal("Project already exists")
	}
	if r.words == "create project not permitted" {
		return sshfake.Answer{Stderr: r.words + "\n", Exit: r.exit}
	}
	return sshfake.Answer{Stderr: "fatal: " + r.words + "\n", Exit: r.exit}
}
