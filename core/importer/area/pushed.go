package area

import (
	"errors"
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

// With counts what q says as well, whose word goes before.
func (p Pushed) With(q Pushed) Pushed {
	if len(q.Refs) == 0 {
		return p
	}
	all := Pushed{Refs: make(map[string]string, len(p.Refs)+len(q.Refs)), Sources: make(map[string]string, len(p.Refs)+len(q.Refs))}
	for _, part := range []Pushed{p, q} {
		maps.Copy(all.Refs, part.Refs)
		maps.Copy(all.Sources, part.Sources)
	}
	return all
}

// Found is what is there now, exactly so.
func (p Pushed) Found(now map[string]string) Pushed {
	found := Pushed{Refs: make(map[string]string), Sources: make(map[string]string)}
	for ref, object := range p.Refs {
		if now[ref] == object {
			found.Refs[ref] = object
			if source := p.Sources[ref]; source != "" {
				found.Sources[ref] = source
			}
		}
	}
	return found
}

// SetPushed records which refs this Lorry has brought to the repository at the
// address. A loss of power may lose the record, which only means that less is
// pruned.
func (a *Area) SetPushed(address string, p Pushed) error { return a.setRefs(pushedName, address, p) }

// Pushed gives what SetPushed recorded for the address; nothing when there is
// no record, or one for another address.
func (a *Area) Pushed(address string) Pushed { return a.refs(pushedName, address) }

// SetMeant notes, before a push, what it is to bring to the repository at the
// address: should nobody see what came of it, the next run knows what it finds
// there. A loss of power may lose the note, as it may the record.
func (a *Area) SetMeant(address string, p Pushed) error { return a.setRefs(meantName, address, p) }

// Meant gives what SetMeant noted for the address, unless DropMeant followed.
func (a *Area) Meant(address string) Pushed { return a.refs(meantName, address) }

// DropMeant says that what was pushed is on record.
func (a *Area) DropMeant() error {
	err := os.Remove(a.Path(meantName))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func (a *Area) setRefs(file, address string, p Pushed) error {
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
	return write(a.Path(file), b.String(), false)
}

func (a *Area) refs(file, address string) Pushed {
	text, err := os.ReadFile(a.Path(file))
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
