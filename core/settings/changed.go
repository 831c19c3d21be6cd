package settings

import "slices"

// Rereads reports whether an option counts from the next reload on.
func (v *Values) Rereads(name string) bool { return v.entry(name).opt.Reread }

// Changed names the options whose values differ from those before, in the order
// of --help. A secret that is read from a file has changed when the file has.
func (v *Values) Changed(before *Values) []string {
	var names []string
	for _, opt := range v.index.list {
		if opt.action {
			continue
		}
		now, old := v.entries[opt.Name], before.entries[opt.Name]
		if old == nil || now.text != old.text || !slices.Equal(now.list, old.list) {
			names = append(names, opt.Name)
		}
	}
	return names
}
