package area

import (
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"
	"time"
)

// State is what a repository's refs were before a run changed them.
type State struct {
	Head string // what HEAD names, or ""
	Refs map[string]string
}

const (
	journalHead = "lorry refs 1"
	journalEnd  = "end"
)

// Begin writes the refs down before they are changed.
func (a *Area) Begin(s State) error {
	return write(a.Path(journalName), journalText(s), true)
}

func journalText(s State) string {
	names := make([]string, 0, len(s.Refs))
	for name := range s.Refs {
		names = append(names, name)
	}
	sort.Strings(names)
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nHEAD %s\n", journalHead, s.Head)
	for _, name := range names {
		fmt.Fprintf(&b, "%s %s\n", s.Refs[name], name)
	}
	b.WriteString(journalEnd + "\n")
	return b.String()
}

// Unfinished gives what Begin wrote, when no Commit followed: the run died in
// between.
func (a *Area) Unfinished() (State, bool, error) {
	text, err := os.ReadFile(a.Path(journalName))
	if errors.Is(err, os.ErrNotExist) {
		return State{}, false, nil
	}
	if err != nil {
		return State{}, false, err
	}
	s, err := parseJournal(string(text))
	return s, err == nil, err
}

func parseJournal(text string) (State, error) {
	return parseLines(text, journalHead)
}

// parseLines reads what begins with a line of its own and ends with one.
func parseLines(text, head string) (State, error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 3 || lines[0] != head || lines[len(lines)-1] != journalEnd || !strings.HasPrefix(lines[1], "HEAD ") {
		return State{}, errors.New("the record of the refs is not readable")
	}
	s := State{Head: strings.TrimPrefix(lines[1], "HEAD "), Refs: make(map[string]string, len(lines))}
	for _, line := range lines[2 : len(lines)-1] {
		object, name, ok := strings.Cut(line, " ")
		if !ok {
			return State{}, errors.New("the record of the refs is not readable")
		}
		s.Refs[name] = object
	}
	return s, nil
}

// Commit says that the refs are what they shall be.
func (a *Area) Commit() error {
	err := os.Remove(a.Path(journalName))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return syncDir(a.Dir)
}

// BeginPush notes that a repository on this machine is being pushed to.
func (a *Area) BeginPush(dir string) error {
	return write(a.Path(pushName), a.now().UTC().Format(time.RFC3339Nano)+"\n"+dir+"\n", true)
}

// EndPush says that the push has ended, well or not, and its programs with it.
func (a *Area) EndPush() error {
	err := os.Remove(a.Path(pushName))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// UnfinishedPush gives the directory and the start of a push that a run died
// in; "" when there is none.
func (a *Area) UnfinishedPush() (dir string, start time.Time) {
	text, err := os.ReadFile(a.Path(pushName))
	if err != nil {
		return "", time.Time{}
	}
	when, rest, _ := strings.Cut(string(text), "\n")
	start, err = time.Parse(time.RFC3339Nano, when)
	if err != nil {
		return "", time.Time{}
	}
	return strings.TrimSuffix(rest, "\n"), start
}
