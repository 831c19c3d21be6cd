package host

import (
	"strconv"

	"github.com/hashicorp/go-plugin"

	"github.com/lorry-controller/lorry-controller/sdk/internal/wire"
)

// Major is a major version of the protocol that the core speaks.
type Major struct {
	Number int
	// Deprecated says from which release on the core no longer speaks it, or is
	// "" for one that stays.
	Deprecated string
}

// Majors is the table of the versions that the core speaks. Each has a facade of
// its own; a version that a newer one replaces stays for one release, with
// Deprecated set.
func Majors() []Major { return []Major{{Number: wire.Version}} }

// numbers gives the versions as they stand in a handshake.
func numbers(majors []Major) []string {
	var list []string
	for _, m := range majors {
		list = append(list, strconv.Itoa(m.Number))
	}
	return list
}

// versioned gives go-plugin the versions to choose from.
func versioned(majors []Major) map[int]plugin.PluginSet {
	sets := map[int]plugin.PluginSet{}
	for _, m := range majors {
		sets[m.Number] = plugin.PluginSet{wire.PluginName: &dispenser{}}
	}
	return sets
}

// tellDeprecated logs, once for a start, that an adapter has to be renewed.
func tellDeprecated(cfg Config, negotiated int) {
	for _, m := range cfg.Majors {
		if m.Number == negotiated && m.Deprecated != "" {
			cfg.Log.Warn("adapter speaks a deprecated version of the protocol", "protocol", m.Number, "program", cfg.Path,
				"until", m.Deprecated, "hint", "install a newer release of the adapter before the core is upgraded to that")
		}
	}
}
