package statedb

import (
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/lorry-controller/lorry-controller/core"
)

// params are the values of a statement's parameters by their names.
type params map[string]any

// numbered is a statement as PostgreSQL takes it: each @name has become a
// number, in the order in which the names come first.
type numbered struct {
	text  string
	names []string
}

// namedTexts keeps statements with named parameters as they were numbered.
type namedTexts struct {
	mu   sync.Mutex
	kept map[string]numbered
}

func newNamedTexts() *namedTexts { return &namedTexts{kept: map[string]numbered{}} }

// number gives a statement and its parameters in the order of their numbers. A
// name without a value is refused; a value that the statement does not name is
// not.
func (n *namedTexts) number(text string, values params) (string, []any, error) {
	s := n.of(text)
	args := make([]any, len(s.names))
	for i, name := range s.names {
		v, ok := values[name]
		if !ok {
			return "", nil, core.Errorf(core.KindInternal, "state database: a statement's parameter %q has no value", name)
		}
		args[i] = v
	}
	return s.text, args, nil
}

func (n *namedTexts) of(text string) numbered {
	n.mu.Lock()
	defer n.mu.Unlock()
	s, ok := n.kept[text]
	if !ok {
		s = numberNames(text)
		n.kept[text] = s
	}
	return s
}

func numberNames(text string) numbered {
	before, rest, more := strings.Cut(text, "@")
	s := numbered{text: before}
	for more {
		end := strings.IndexFunc(rest, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') })
		if end < 0 {
			end = len(rest)
		}
		name := rest[:end]
		if !slices.Contains(s.names, name) {
			s.names = append(s.names, name)
		}
		s.text += "$" + strconv.Itoa(slices.Index(s.names, name)+1)
		before, rest, more = strings.Cut(rest[end:], "@")
		s.text += before
	}
	return s
}
