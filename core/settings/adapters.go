package settings

import (
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// ReattachVariable names the adapters that an author runs in a debugger.
const ReattachVariable = "LORRY_REATTACH_ADAPTERS"

// adapterOptions choose, pin and limit the adapters.
func adapterOptions() []Option {
	return []Option{
		{Name: "adapter-dir", Metavar: "DIR", Doc: "Look for lorry-adapter-TYPE programs here. Default: beside the program."},
		{Name: "dev", Kind: Bool, Default: "no", Doc: "For authors: use the adapters that LORRY_REATTACH_ADAPTERS names, as an adapter started with -debug prints it."},
		{Name: "adapters", Kind: List, Metavar: "TYPE", Doc: "The types of host whose adapters may run. Default: all that are there.", Check: checkType},
		{Name: "adapter-path", Kind: List, Metavar: "TYPE=FILE", Doc: "Take the adapter of TYPE from FILE, not from adapter-dir.", Check: checkByType(checkProgram)},
		{Name: "adapter-sha256", Reread: true, Kind: List, Metavar: "TYPE=HEX", Doc: "Run the adapter of TYPE only if its program has this SHA-256 checksum.", Check: checkByType(checkSHA256)},
		{Name: "adapter-max-calls", Reread: true, Kind: List, Metavar: "TYPE=N", Doc: "Give each host of TYPE at most N calls at a time. Default: 8, or less if the adapter says so.", Check: checkByType(checkCalls)},
	}
}

func adapterSettings(v *Values) Adapters {
	a := Adapters{
		Dev: v.Bool("dev"),
		Dir: absolutePath(v.String("adapter-dir")), Enabled: v.List("adapters"),
		Path: byType(v.List("adapter-path")), SHA256: byType(v.List("adapter-sha256")),
	}
	for host, n := range byType(v.List("adapter-max-calls")) {
		if a.MaxCalls == nil {
			a.MaxCalls = map[string]int{}
		}
		a.MaxCalls[host], _ = strconv.Atoi(n) // checked when it was set
	}
	return a
}

// byType reads TYPE=VALUE pairs; the last of a type counts.
func byType(pairs []string) map[string]string {
	if len(pairs) == 0 {
		return nil
	}
	values := map[string]string{}
	for _, pair := range pairs {
		host, value, _ := strings.Cut(pair, "=")
		values[host] = strings.ToLower(value)
		if filepath.IsAbs(value) {
			values[host] = value
		}
	}
	return values
}

// pairs reads NAME=VALUE pairs; the last of a name counts.
func pairs(list []string) map[string]string {
	values := map[string]string{}
	for _, pair := range list {
		name, value, _ := strings.Cut(pair, "=")
		values[name] = value
	}
	return values
}

func checkPair(text string) error {
	if name, _, ok := strings.Cut(text, "="); !ok || name == "" {
		return fmt.Errorf("%q is not NAME=VALUE", text)
	}
	return nil
}

func checkFilePair(text string) error {
	_, file, _ := strings.Cut(text, "=")
	return errors.Join(checkPair(text), checkProgram(file))
}

// checkByType makes a check of TYPE=VALUE from one of the value.
func checkByType(check func(value string) error) func(text string) error {
	return func(text string) error {
		host, value, ok := strings.Cut(text, "=")
		if !ok || host == "" || value == "" {
			return fmt.Errorf("%q is not TYPE=VALUE", text)
		}
		return errors.Join(checkType(host), check(value))
	}
}

func checkProgram(value string) error {
	if !filepath.IsAbs(value) {
		return fmt.Errorf("%q must begin with \"/\"", value)
	}
	return nil
}

func checkSHA256(value string) error {
	if sum, err := hex.DecodeString(value); err != nil || len(sum) != 32 {
		return fmt.Errorf("%q is not a SHA-256 checksum: it has 64 digits from 0 to f", value)
	}
	return nil
}

func checkCalls(value string) error {
	if n, err := strconv.Atoi(value); err != nil || n < 1 {
		return fmt.Errorf("%q is not a number of calls: at least 1", value)
	}
	return nil
}
