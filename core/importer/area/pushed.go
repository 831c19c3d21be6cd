package area

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// pushedHead begins the record of what was pushed. What earlier versions wrote
// begins as the record of refs does, and names no sources.
const pushedHead = "lorry pushed 2"

// Pushed are the refs that a Lorry has brought to a repository.
type Pushed struct {
	// Refs are the objects by name downstream; nil when there is no record.
	Refs map[string]string
	// Sources are the names upstream, by name downstream, as far as they are on
	// record.
	Sources map[string]string
}

// Equal reports whether both say the same.
func (p Pushed) Equal(q Pushed) bool {
	return (p.Refs == nil) == (q.Refs == nil) && maps.Equal(p.Refs, q.Refs) && maps.Equal(p.Sources, q.Sources)
}

// SetPushed records which refs this Lorry has brought to the repository at the
// address. A loss of power may lose the record, which only means that less is
// pruned.
func (a *Area) SetPushed(address string, p Pushed) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nHEAD %s\n", pushedHead, address)
	for _, name := range slices.Sorted(maps.Keys(p.Refs)) {
		fmt.Fprintf(&b, "%s %s", p.Refs[name], name)
		if source := p.Sources[name]; source != "" {
			fmt.Fprintf(&b, " %s", source)
		}
		b.WriteByte('\n')
	}
	b.WriteString(journalEnd + "\n")
	return write(a.Path(pushedName), b.String(), false)
}

// Pushed gives what SetPushed recorded for the address; nothing when there is
// no record, or one for another address.
func (a *Area) Pushed(address string) Pushed {
	text, err := os.ReadFile(a.Path(pushedName))
	if err != nil {
		return Pushed{}
	}
	s, err := parseLines(string(text), pushedHead)
	if err != nil {
		s, err = parseJournal(string(text))
	}
	if err != nil || s.Head != address {
		return Pushed{}
	}
	p := Pushed{Refs: make(map[string]string, len(s.Refs)), Sources: make(map[string]string, len(s.Refs))}
	for line, object := range s.Refs {
		name, source, known := strings.Cut(line, " ")
		if p.Refs[name] = object; known {
			p.Sources[name] = source
		}
	}
	return p
}
