package policy

import "slices"

// Over is a ref that goes nowhere: For has the name downstream that Src would
// have.
type Over struct{ Src, For, Dst string }

// PassedOver gives the upstream refs that refspecs name and that are mirrored
// under no name, since another ref has theirs.
func (p Policy) PassedOver(refs map[string]string) []Over {
	if !p.Renames() {
		return nil
	}
	wanted, _, over := p.assign(refs)
	mirrored := make(map[string]bool, len(wanted))
	for _, w := range wanted {
		mirrored[w.Src] = true
	}
	return slices.DeleteFunc(over, func(o Over) bool { return mirrored[o.Src] })
}
